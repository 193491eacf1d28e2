namespace Tilt.Cli;

/// <summary>Command lines that can be copied into a shell as they stand.</summary>
internal static class ShellText
{
    private const string Plain = "-_./=+:,@%";

    /// <summary>A word as a shell has to be given it: in single quotes where it holds anything but plain characters.</summary>
    public static string Quoted(string word) =>
        word.Length > 0 && word.All(sign => char.IsAsciiLetterOrDigit(sign) || Plain.Contains(sign))
            ? word
            : "'" + word.Replace("'", "'\\''", StringComparison.Ordinal) + "'";
}
