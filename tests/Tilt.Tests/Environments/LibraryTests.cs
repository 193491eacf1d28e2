using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using Tilt.Environments;
using Tilt.Environments.Simulation;

namespace Tilt.Tests.Environments;

/// <summary>The native library: what is said where it is missing or another, and what its errors do.</summary>
public unsafe class LibraryTests
{
    private const string Trigger = "TILT_TEST_MUJOCO_ERROR";

    [Fact]
    public void A_missing_library_is_told_with_the_command_that_brings_it()
    {
        var missing = Mujoco.Missing();
        Assert.False(missing.IsAvailable);
        var error = Assert.Throws<EnvironmentException>(() => Mujoco.Require(missing));
        Assert.Contains("libmujoco.so.2.2.2", error.Message);
        Assert.Contains("apt-get install -y libmujoco2.2.2", error.Message);
        Assert.Contains("TILT_NATIVE", error.Message);
    }

    [Fact]
    public void Another_version_is_refused()
    {
        Assert.Null(Mujoco.WrongVersion(222, null));
        var wrong = Mujoco.WrongVersion(237, "/opt/libmujoco.so.2.2.2")!;
        Assert.Contains("/opt/libmujoco.so.2.2.2", wrong.Problem);
        Assert.Contains("237", wrong.Problem);
        Assert.Contains("222", wrong.Problem);
        Assert.NotNull(wrong.Remedy);
    }

    [Fact]
    public void The_library_in_use_is_named()
    {
        Physics.Needed();
        Assert.EndsWith("libmujoco.so.2.2.2", Mujoco.Availability.Path);
        Assert.True(File.Exists(Mujoco.Availability.Path));
    }

    [Fact]
    public void The_layout_has_the_arrays_of_both_structs()
    {
        Assert.Equal(373, MujocoLayout.ModelArrays.Count + MujocoLayout.DataArrays.Count);
        Assert.Equal(58, MujocoLayout.Sizes.Count);
        Assert.Equal(3272, MujocoLayout.ModelArrays[^1].Offset);
        Assert.Equal(41168, MujocoLayout.DataArrays[^1].Offset);
    }

    [Fact]
    public void Any_pointer_out_of_place_is_noticed_and_named()
    {
        using var environment = Physics.Started("hopper");
        var model = environment.Data.Model.Handle;
        var copy = new byte[41176];
        fixed (byte* start = copy)
        {
            var structure = (nint)start;
            new ReadOnlySpan<byte>((void*)model, 3280).CopyTo(copy);
            MujocoLayout.CheckModel(structure);
            foreach (var name in new[] { "qpos0", "body_mass", "names" })
            {
                var offset = MujocoLayout.ModelArrays.First(array => array.Name == name).Offset;
                *(nint*)(structure + offset) += 8;
                var error = Assert.Throws<EnvironmentException>(() => MujocoLayout.CheckModel(structure));
                Assert.Contains($"mjModel.{name}", error.Message);
                Assert.Contains("apt-get install", error.Message);
                *(nint*)(structure + offset) -= 8;
            }
            *(int*)(structure + 228) += 64;
            Assert.Contains(
                "buffer",
                Assert.Throws<EnvironmentException>(() => MujocoLayout.CheckModel(structure)).Message
            );

            new ReadOnlySpan<byte>((void*)environment.Data.Handle, copy.Length).CopyTo(copy);
            MujocoLayout.CheckData(model, structure);
            *(nint*)(structure + 40480) -= 64;
            Assert.Contains(
                "mjData.xpos",
                Assert.Throws<EnvironmentException>(() => MujocoLayout.CheckData(model, structure)).Message
            );
        }
    }

    [Fact]
    public void Unpacked_packages_are_found_in_a_named_folder()
    {
        Physics.Needed();
        using var folder = new TemporaryFolder();
        var below = Directory.CreateDirectory(folder.File("usr/lib/x86_64-linux-gnu")).FullName;
        // Under a name that no system has, so that only the folder can serve.
        File.Copy(Mujoco.Availability.Path!, Path.Combine(below, "libtilt_test_copy.so.1"));
        Assert.False(NativeLibraries.TryLoad("libtilt_test_copy.so.1", out _, out _));
        var before = Environment.GetEnvironmentVariable(NativeLibraries.FolderVariable);
        Environment.SetEnvironmentVariable(NativeLibraries.FolderVariable, $"/nowhere:{folder.Path}");
        try
        {
            Assert.True(NativeLibraries.TryLoad("libtilt_test_copy.so.1", out var handle, out var path));
            Assert.Equal(Path.Combine(below, "libtilt_test_copy.so.1"), path);
            NativeLibrary.Free(handle);
        }
        finally
        {
            Environment.SetEnvironmentVariable(NativeLibraries.FolderVariable, before);
        }
    }

    [Fact]
    public void Warnings_are_kept_for_who_asks_and_write_no_file()
    {
        using var environment = Physics.Started("hopper");
        Mujoco.TakeWarning();
        environment.Data.Velocity[0] = double.NaN;
        environment.Data.Step();
        Assert.Contains("Nan, Inf or huge value", Mujoco.TakeWarning());
        Assert.Null(Mujoco.TakeWarning());
        Assert.False(File.Exists("MUJOCO_LOG.TXT"));
    }

    /// <remarks>MuJoCo's own handler would wait for the Enter key. The child is this test again, with the variable set.</remarks>
    [Fact]
    public void An_error_inside_MuJoCo_ends_the_process_with_its_message()
    {
        Physics.Needed();
        if (Environment.GetEnvironmentVariable(Trigger) is not null)
        {
            var library = NativeLibrary.Load(Mujoco.Availability.Path!);
            var raise = (delegate* unmanaged[Cdecl]<byte*, void>)NativeLibrary.GetExport(library, "mju_error");
            fixed (byte* message = "out of luck\0"u8)
            {
                raise(message);
            }
            return;
        }
        var host = Environment.ProcessPath is { } path && Path.GetFileName(path) == "dotnet" ? path : "dotnet";
        var start = new ProcessStartInfo(host)
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
        };
        foreach (
            var argument in new[]
            {
                Path.Combine(AppContext.BaseDirectory, "Tilt.Tests.dll"),
                "-method",
                $"{typeof(LibraryTests).FullName}.{nameof(An_error_inside_MuJoCo_ends_the_process_with_its_message)}",
            }
        )
        {
            start.ArgumentList.Add(argument);
        }
        start.Environment[Trigger] = "1";
        using var child = Process.Start(start)!;
        var output = new StringBuilder();
        child.OutputDataReceived += (_, line) => output.AppendLine(line.Data);
        child.BeginOutputReadLine();
        var error = child.StandardError.ReadToEnd();
        Assert.True(child.WaitForExit(60_000), "the process neither ended nor waited for a key it can get");
        Assert.NotEqual(0, child.ExitCode);
        Assert.Contains("MuJoCo stopped: out of luck", error);
    }
}
