using Tilt.Model;

namespace Tilt.Bench;

internal static class Arguments
{
    public static int Count(string[] args, string what, int otherwise) =>
        args.Length == 0 ? otherwise
        : int.TryParse(args[0], out var count) && count > 0 ? count
        : throw TiltException.Usage($"the number of {what} is '{args[0]}', expected a whole number above 0.");
}
