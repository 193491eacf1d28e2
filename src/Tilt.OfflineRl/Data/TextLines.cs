namespace Tilt.OfflineRl.Data;

/// <summary>The lines of a text that hold anything, one after another, without their ends.</summary>
internal sealed class TextLines
{
    private const int LongestLine = 1 << 26;

    private readonly ByteSource _source;
    private byte[] _buffer = new byte[1 << 16];
    private long _offset;
    private int _filled;
    private int _next;
    private int _start;
    private int _length;

    /// <summary>The lines of a source, from its start.</summary>
    public TextLines(ByteSource source)
    {
        _source = source;
    }

    /// <summary>The line, until the next call of <see cref="Next"/>.</summary>
    public ReadOnlySpan<byte> Current => _buffer.AsSpan(_start, _length);

    /// <summary>Its number in the file, from 1.</summary>
    public int Number { get; private set; }

    /// <summary>Goes on to the next line that is not blank; false at the end.</summary>
    public bool Next()
    {
        while (Advance())
        {
            if (!Current.Trim(" \t"u8).IsEmpty)
            {
                return true;
            }
        }
        return false;
    }

    private bool Advance()
    {
        var searched = 0;
        while (true)
        {
            var end = _buffer.AsSpan(_next + searched, _filled - _next - searched).IndexOf((byte)'\n');
            if (end >= 0)
            {
                Take(searched + end, 1);
                return true;
            }
            searched = _filled - _next;
            if (!More())
            {
                if (searched == 0)
                {
                    return false;
                }
                Take(searched, 0);
                return true;
            }
        }
    }

    private void Take(int length, int end)
    {
        (_start, _length) = (_next, length);
        if (length > 0 && _buffer[_start + length - 1] == (byte)'\r')
        {
            _length--;
        }
        _next += length + end;
        Number++;
    }

    /// <summary>Reads on behind what is not consumed, in a larger buffer if it is full. False at the end of the source.</summary>
    private bool More()
    {
        if (_offset == _source.Length)
        {
            return false;
        }
        var kept = _filled - _next;
        if (kept > LongestLine)
        {
            throw new DataException(
                _source.Name,
                $"line {Number + 1}",
                $"more than {LongestLine} bytes",
                "lines of text",
                "Check that this is a table in text, with a line per step."
            );
        }
        var target = kept > _buffer.Length / 2 ? new byte[2 * _buffer.Length] : _buffer;
        _buffer.AsSpan(_next, kept).CopyTo(target);
        (_buffer, _next, _filled) = (target, 0, kept);
        var count = (int)Math.Min(_buffer.Length - kept, _source.Length - _offset);
        _source.Read(_offset, _buffer.AsSpan(kept, count), $"line {Number + 1}");
        _offset += count;
        _filled += count;
        return true;
    }
}
