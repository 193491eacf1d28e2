using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Tilt.Cli.Reports;
using Tilt.Environments.Rendering;
using Tilt.Environments.Simulation;
using TorchSharp;

namespace Tilt.Cli.Health;

/// <summary>The checks of <c>tilt doctor</c>, in the order they are printed. Each looks for itself and never throws.</summary>
internal static class HealthChecks
{
    /// <summary>The library of TorchSharp that Debian 12's loader refuses as it is shipped.</summary>
    public const string TorchLibrary = "libLibTorchSharp.so";

    private const double Giga = 1024.0 * 1024 * 1024;

    /// <summary>Every check.</summary>
    public static IReadOnlyList<Func<Finding>> All() =>
        [
            Framework,
            () => CxxRuntime(Path.Combine(AppContext.BaseDirectory, TorchLibrary), SharedLibrary.FindCxxRuntime()),
            Torch,
            WaitPolicy,
            Threads,
            () => Cpu(Read("/proc/cpuinfo")),
            Gpu,
            Drawing,
            Physics,
            Scenes,
            Memory,
            () => Disk(Directory.GetCurrentDirectory()),
        ];

    /// <summary>The version that <see cref="TorchLibrary"/> asks the C++ runtime for, and whether the loader will insist.</summary>
    public static Finding CxxRuntime(string torchLibrary, string? runtime)
    {
        const string name = "C++ runtime";
        const string rebuild = "dotnet build -c Release --no-incremental src/Tilt.Cli";
        try
        {
            if (!File.Exists(torchLibrary))
            {
                return new(name, State.Broken, $"{torchLibrary} is not there; the build is incomplete", rebuild);
            }
            var need = SharedLibrary
                .VersionNeeds(torchLibrary)
                .Where(need => need.Version.StartsWith("GLIBCXX_3.4.", StringComparison.Ordinal))
                .MaxBy(need => System.Version.Parse(need.Version["GLIBCXX_".Length..]));
            if (need is null || runtime is null)
            {
                return new(name, State.Fine, runtime is null ? "libstdc++.so.6 is not in the usual places" : runtime);
            }
            var offered = SharedLibrary.HighestCxxVersion(runtime);
            if (System.Version.Parse(need.Version["GLIBCXX_".Length..]) <= offered)
            {
                return new(name, State.Fine, $"libstdc++ offers GLIBCXX_{offered}, TorchSharp wants {need.Version}");
            }
            return need.IsWeak
                ? new(
                    name,
                    State.Fine,
                    $"libstdc++ offers GLIBCXX_{offered}; TorchSharp names {need.Version} but calls nothing of it, "
                        + "so the build marks that need as weak and the loader goes on"
                )
                : new(
                    name,
                    State.Broken,
                    $"libstdc++ offers GLIBCXX_{offered}, TorchSharp insists on {need.Version}; the build should have marked that need as weak",
                    rebuild
                );
        }
        catch (Exception failure) when (failure is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            return new(name, State.Broken, failure.Message, rebuild);
        }
    }

    /// <summary>The vector instructions that decide how fast training is.</summary>
    /// <param name="cpuInfo">/proc/cpuinfo.</param>
    public static Finding Cpu(string cpuInfo)
    {
        var flags = Field(cpuInfo, "flags").Split(' ').ToHashSet();
        var model = Field(cpuInfo, "model name");
        var known = new (string Flag, string Name)[]
        {
            ("avx2", "AVX2"),
            ("avx512f", "AVX-512"),
            ("avx512_bf16", "AVX512-BF16"),
            ("amx_bf16", "AMX-BF16"),
        };
        var present = string.Join(", ", known.Where(pair => flags.Contains(pair.Flag)).Select(pair => pair.Name));
        var absent = string.Join(", ", known.Where(pair => !flags.Contains(pair.Flag)).Select(pair => pair.Name));
        var text =
            (model.Length > 0 ? model + ": " : "") + (present.Length > 0 ? present : "no vector extension beyond SSE");
        return new("CPU", State.Fine, absent.Length > 0 ? $"{text}; without {absent}" : text);
    }

    /// <summary>Space for runs.</summary>
    public static Finding Disk(string folder)
    {
        var drive = new DriveInfo(folder);
        var free = drive.AvailableFreeSpace / Giga;
        var text = string.Create(CultureInfo.InvariantCulture, $"{free:0.0} GB free in {folder}");
        return free < 1
            ? new(
                "disk",
                State.Broken,
                text + "; runs and figures want 1 GB",
                $"du -xh --max-depth=2 '{folder}' | sort -h | tail"
            )
            : new("disk", State.Fine, text);
    }

    private static Finding Framework() =>
        new(".NET", State.Fine, $"{Environment.Version} on {RuntimeInformation.OSDescription.Trim()}");

    private static Finding Torch()
    {
        const string name = "libtorch";
        var before = CxxRuntime(Path.Combine(AppContext.BaseDirectory, TorchLibrary), SharedLibrary.FindCxxRuntime());
        if (before.State == State.Broken)
        {
            // Trying nevertheless would make TorchSharp copy half a gigabyte in search of another one.
            return new(name, State.Broken, "cannot be loaded before the C++ runtime is mended", before.Remedy);
        }
        var clock = Stopwatch.StartNew();
        try
        {
            using var scope = torch.NewDisposeScope();
            var product = torch.eye(8).mm(torch.ones(8, 8)).sum().item<float>();
            var seconds = clock.Elapsed.TotalSeconds;
            return product == 64
                ? new(name, State.Fine, $"TorchSharp {Versions.TorchSharp}; loads and multiplies in {seconds:0.00} s")
                : new(
                    name,
                    State.Broken,
                    $"multiplies wrongly: 64 expected, {product} found",
                    "./tilt test NativeRuntime"
                );
        }
        catch (Exception failure)
        {
            var cause = failure.InnerException ?? failure;
            return new(
                name,
                State.Broken,
                cause.Message.Split('\n')[0],
                $"ldd '{Path.Combine(AppContext.BaseDirectory, TorchLibrary)}'"
            );
        }
    }

    private static Finding WaitPolicy()
    {
        var policy = NativeRuntime.NativeVariable(NativeRuntime.WaitPolicyVariable);
        return policy?.Equals("passive", StringComparison.OrdinalIgnoreCase) == true
            ? new(
                "OpenMP",
                State.Fine,
                $"{NativeRuntime.WaitPolicyVariable}=passive: waiting threads sleep, so another busy process does not slow training many times over"
            )
            : new(
                "OpenMP",
                State.Optional,
                $"{NativeRuntime.WaitPolicyVariable}={policy ?? "(unset)"}: waiting threads spin; training slows many times over when another process is busy",
                $"unset {NativeRuntime.WaitPolicyVariable}"
            );
    }

    private static Finding Threads()
    {
        var cores = Environment.ProcessorCount;
        try
        {
            var threads = torch.get_num_threads();
            return threads > cores
                ? new(
                    "threads",
                    State.Optional,
                    $"{threads} for {cores} cores that this process may use",
                    "unset OMP_NUM_THREADS"
                )
                : new("threads", State.Fine, $"{threads} for {cores} cores that this process may use");
        }
        catch (Exception failure)
            when (failure is TypeInitializationException or DllNotFoundException or NotSupportedException)
        {
            return new("threads", State.Fine, $"{cores} cores that this process may use");
        }
    }

    private static Finding Gpu()
    {
        try
        {
            return new(
                "GPU",
                State.Fine,
                torch.cuda.is_available() ? "CUDA, by --device cuda" : "none used; --device cpu is the default"
            );
        }
        catch (Exception failure)
            when (failure is TypeInitializationException or DllNotFoundException or NotSupportedException)
        {
            return new("GPU", State.Fine, "none used; --device cpu is the default");
        }
    }

    private static Finding Drawing()
    {
        const string name = "figures";
        try
        {
            return new(name, State.Fine, $"Skia draws, with the font {FigureStyle.CheckFont()} that ships with Tilt");
        }
        catch (TiltException missing)
        {
            return new(name, State.Broken, missing.Message, "git checkout -- src/Tilt.Cli/Fonts");
        }
        catch (Exception failure) when (failure is TypeInitializationException or DllNotFoundException)
        {
            return new(
                name,
                State.Broken,
                (failure.InnerException ?? failure).Message.Split('\n')[0],
                "dotnet build -c Release src/Tilt.Cli"
            );
        }
    }

    private static Finding Physics()
    {
        var physics = Mujoco.Availability;
        return physics.Problem is { } problem
            ? new("MuJoCo", State.Optional, problem, InstallCommand)
            : new("MuJoCo", State.Fine, $"{Mujoco.Version} from {physics.Path}");
    }

    private static Finding Scenes()
    {
        if (!Mujoco.Availability.IsAvailable)
        {
            return new("scenes", State.Optional, "wait for MuJoCo; only 'render' draws them", InstallCommand);
        }
        var scenes = Renderer.Availability;
        return scenes.Problem is { } problem
            ? new("scenes", State.Optional, problem, InstallCommand)
            : new("scenes", State.Fine, $"drawn by {scenes.Backend}");
    }

    private static string InstallCommand =>
        Environment.GetEnvironmentVariable("TILT_LAUNCHER") is null ? Mujoco.InstallCommand : "./tilt doctor --fix";

    private static Finding Memory()
    {
        var bytes = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / Giga;
        return new(
            "memory",
            State.Fine,
            string.Create(CultureInfo.InvariantCulture, $"{bytes:0.0} GB for this process")
        );
    }

    private static string Field(string info, string name)
    {
        var line = info.Split('\n').FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal));
        return line?[(line.IndexOf(':') + 1)..].Trim() ?? "";
    }

    private static string Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return "";
        }
    }
}
