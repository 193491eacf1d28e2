using System.Globalization;
using System.IO.Compression;
using System.Text;

namespace Tilt.Cli.Reports;

/// <summary>Writes arrays as numpy's .npz: a zip archive of .npy files (NEP 1, version 1.0).</summary>
internal sealed class NpzWriter : IDisposable
{
    // The header's length, with the ten bytes before it, has to be a multiple of this.
    private const int Alignment = 64;

    private readonly ZipArchive _zip;

    /// <summary>An archive without arrays.</summary>
    /// <param name="stream">Receives it. Stays open.</param>
    public NpzWriter(Stream stream)
    {
        _zip = new(stream, ZipArchiveMode.Create, leaveOpen: true);
    }

    /// <summary>Adds an array of bytes.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="values">Row-major.</param>
    /// <param name="shape">Its axes.</param>
    public void Add(string name, ReadOnlySpan<byte> values, params ReadOnlySpan<long> shape)
    {
        using var stream = _zip.CreateEntry($"{name}.npy", CompressionLevel.Fastest).Open();
        var axes = new StringBuilder();
        foreach (var axis in shape)
        {
            axes.Append(CultureInfo.InvariantCulture, $"{axis}, ");
        }
        var header = $"{{'descr': '|u1', 'fortran_order': False, 'shape': ({axes.ToString().TrimEnd()}), }}";
        var padded = (10 + header.Length + 1 + Alignment - 1) / Alignment * Alignment - 10;
        header = header.PadRight(padded - 1) + "\n";
        stream.Write([0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y', 1, 0]);
        stream.Write([(byte)(padded & 0xff), (byte)(padded >> 8)]);
        stream.Write(Encoding.ASCII.GetBytes(header));
        stream.Write(values);
    }

    /// <inheritdoc/>
    public void Dispose() => _zip.Dispose();
}
