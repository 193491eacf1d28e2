namespace Tilt.Cli;

internal static class Program
{
    private static int Main(string[] args)
    {
        NativeRuntime.Prepare();
        Console.WriteLine("tilt");
        return args.Length;
    }
}
