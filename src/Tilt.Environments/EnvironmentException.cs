namespace Tilt.Environments;

/// <summary>What was wrong with a task's name, its input or the machine it runs on, told so that it can be put right.</summary>
/// <remarks>The message says where, what was found, what was expected, and the remedy.</remarks>
public sealed class EnvironmentException : Exception
{
    /// <summary>1: the work failed. 2: the request itself was wrong.</summary>
    public int ExitCode { get; }

    /// <summary>An error with its whole message.</summary>
    /// <param name="message">Where, what was found, what was expected, the remedy.</param>
    /// <param name="exitCode">1 failed, 2 usage.</param>
    /// <param name="inner">What raised it, if anything.</param>
    public EnvironmentException(string message, int exitCode = 1, Exception? inner = null)
        : base(message, inner)
    {
        ExitCode = exitCode;
    }

    /// <summary>A wrong request: unknown name, wrong length, value out of range. Exit code 2.</summary>
    /// <param name="message">What was asked, what is allowed, the remedy.</param>
    public static EnvironmentException Usage(string message) => new(message, 2);
}
