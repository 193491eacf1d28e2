using System.Security.Cryptography;

namespace Tilt.Runs;

/// <summary>SHA-256 of what went into a run, in lower-case hexadecimal.</summary>
public static class ContentHash
{
    /// <summary>Hash of a file's bytes.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="TiltException">It cannot be read.</exception>
    public static string OfFile(string path)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
            return Hex(SHA256.HashData(stream));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new TiltException($"{path}: cannot be read: {error.Message}", inner: error);
        }
    }

    /// <summary>Hash of a tensor's numbers, with its type and shape.</summary>
    /// <param name="tensor">Any tensor. It is only read.</param>
    public static string Of(Tensor tensor)
    {
        using var hash = SHA256.Create();
        using (var stream = new CryptoStream(Stream.Null, hash, CryptoStreamMode.Write))
        {
            TensorFile.Write(stream, [("data", tensor)]);
        }
        return Hex(hash.Hash!);
    }

    /// <summary>Hash of bytes.</summary>
    public static string Of(ReadOnlySpan<byte> bytes) => Hex(SHA256.HashData(bytes));

    /// <summary>Runs a writer and hashes what it writes on its way.</summary>
    /// <param name="stream">Where the bytes go. Stays open.</param>
    /// <param name="write">Writes them.</param>
    internal static string While(Stream stream, Action<Stream> write)
    {
        using var hash = SHA256.Create();
        using (var through = new CryptoStream(stream, hash, CryptoStreamMode.Write, leaveOpen: true))
        {
            write(through);
        }
        return Hex(hash.Hash!);
    }

    private static string Hex(byte[] digest) => Convert.ToHexStringLower(digest);
}
