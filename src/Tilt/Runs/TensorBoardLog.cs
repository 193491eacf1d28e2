using System.Numerics;
using Google.Protobuf;
using Tensorboard;

namespace Tilt.Runs;

/// <summary>Scalars for TensorBoard: an event file that is only appended to.</summary>
/// <remarks>
/// The messages are TorchSharp's; its own writer is not used because it cannot say that a run was resumed, upon which TensorBoard
/// drops the steps that are taken again. A record is its length, the length's masked CRC-32C, the message, its masked CRC-32C.
/// </remarks>
public sealed class TensorBoardLog : IDisposable
{
    private readonly FileStream _stream;

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>Starts a new event file in a run's folder.</summary>
    /// <param name="folder">The run's folder.</param>
    /// <param name="resumedAt">The checkpoint's step when a run goes on: TensorBoard forgets later ones. Else null.</param>
    /// <exception cref="TiltException">The disk refused.</exception>
    public TensorBoardLog(string folder, long? resumedAt = null)
    {
        var seconds = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        Path = System.IO.Path.Combine(
            folder,
            $"events.out.tfevents.{seconds / 1000}.{Environment.MachineName}.{Environment.ProcessId}.{seconds % 1000}"
        );
        try
        {
            _stream = new FileStream(Path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, 0);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw DurableFile.Refused(Path, error);
        }
        Write(new Event { FileVersion = "brain.Event:2" });
        if (resumedAt is { } step)
        {
            Write(
                new Event
                {
                    Step = step + 1,
                    SessionLog = new SessionLog { Status = SessionLog.Types.SessionStatus.Start },
                }
            );
        }
    }

    /// <summary>Appends the values of one step.</summary>
    /// <param name="step">Gradient steps done.</param>
    /// <param name="values">Tags and values.</param>
    /// <exception cref="TiltException">The disk refused.</exception>
    public void Append(long step, IEnumerable<KeyValuePair<string, double>> values)
    {
        var summary = new Summary();
        foreach (var (tag, value) in values)
        {
            summary.Value.Add(new Summary.Types.Value { Tag = tag, SimpleValue = (float)value });
        }
        Write(new Event { Step = step, Summary = summary });
    }

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    private void Write(Event message)
    {
        message.WallTime = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() / 1000.0;
        var body = message.ToByteArray();
        var record = new byte[8 + 4 + body.Length + 4];
        BitConverter.TryWriteBytes(record, (ulong)body.Length);
        BitConverter.TryWriteBytes(record.AsSpan(8), MaskedCrc(record.AsSpan(0, 8)));
        body.CopyTo(record, 12);
        BitConverter.TryWriteBytes(record.AsSpan(12 + body.Length), MaskedCrc(body));
        try
        {
            _stream.Write(record);
        }
        catch (IOException error)
        {
            throw DurableFile.Refused(Path, error);
        }
    }

    private static uint MaskedCrc(ReadOnlySpan<byte> bytes)
    {
        var crc = ~0u;
        foreach (var value in bytes)
        {
            crc = BitOperations.Crc32C(crc, value);
        }
        crc = ~crc;
        return BitOperations.RotateRight(crc, 15) + 0xa282ead8u;
    }
}
