using System.Runtime.CompilerServices;

namespace Tilt.Tests;

internal static class AssemblySetup
{
    [ModuleInitializer]
    public static void Prepare() => NativeRuntime.Prepare();
}
