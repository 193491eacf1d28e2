namespace Tilt.Model;

/// <summary>What was wrong with the user's input or surroundings, told so that it can be put right.</summary>
/// <remarks>
/// The message says where (file, field or option), what was found, what was expected and the remedy. The command line prints it
/// without a stack trace and exits with <see cref="ExitCode"/>.
/// </remarks>
public class TiltException : Exception
{
    /// <summary>1: the work failed. 2: the request itself was wrong. 3: a check was not met.</summary>
    public int ExitCode { get; }

    /// <summary>An error with its whole message.</summary>
    /// <param name="message">Where, what was found, what was expected, the remedy.</param>
    /// <param name="exitCode">1 failed, 2 usage, 3 check not met.</param>
    /// <param name="inner">What raised it, if anything.</param>
    public TiltException(string message, int exitCode = 1, Exception? inner = null)
        : base(message, inner)
    {
        ExitCode = exitCode;
    }

    /// <summary>A wrong request: unknown name, value out of range. Exit code 2.</summary>
    /// <param name="message">What was asked, what is allowed, the remedy.</param>
    public static TiltException Usage(string message) => new(message, 2);
}
