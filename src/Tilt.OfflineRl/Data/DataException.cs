namespace Tilt.OfflineRl.Data;

/// <summary>Data that cannot be used as they are: says where, what was found, what was expected, and what to do about it.</summary>
public sealed class DataException : TiltException
{
    /// <summary>The file the data came from.</summary>
    public string File { get; }

    /// <summary>The field of the file: an array, a column, or the file itself.</summary>
    public string Field { get; }

    /// <summary>What was found there.</summary>
    public string Found { get; }

    /// <summary>What should have been there.</summary>
    public string Expected { get; }

    /// <summary>What puts it right, as a sentence.</summary>
    public string Remedy { get; }

    /// <summary>An error about one field of one file.</summary>
    /// <param name="file">The path as the user gave it.</param>
    /// <param name="field">The array, column or part of the file.</param>
    /// <param name="found">What was found, as the end of "found …".</param>
    /// <param name="expected">What was expected, as the end of "expected …".</param>
    /// <param name="remedy">A sentence that says what to do.</param>
    /// <param name="inner">What raised it, if anything.</param>
    public DataException(
        string file,
        string field,
        string found,
        string expected,
        string remedy,
        Exception? inner = null
    )
        : base($"{file}: {field}: found {found}, expected {expected}. {remedy}", 1, inner)
    {
        (File, Field, Found, Expected, Remedy) = (file, field, found, expected, remedy);
    }
}
