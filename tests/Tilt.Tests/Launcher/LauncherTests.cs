using System.Diagnostics;
using System.Globalization;

namespace Tilt.Tests.Launcher;

public sealed class LauncherTests : IDisposable
{
    private readonly Checkout _checkout = new();

    [Fact]
    public void It_builds_once_and_again_only_when_a_source_changed()
    {
        Assert.Equal(0, _checkout.Run("list").ExitCode);
        Assert.Equal(0, _checkout.Run("list").ExitCode);
        Assert.Equal(1, _checkout.Builds);

        File.WriteAllText(_checkout.File_("src/Tilt.Cli/Program.cs"), "// another program");
        _checkout.Run("list");
        Assert.Equal(2, _checkout.Builds);

        File.WriteAllText(_checkout.File_("src/Tilt.Cli/New.cs"), "");
        _checkout.Run("list");
        Assert.Equal(3, _checkout.Builds);

        File.Delete(_checkout.File_("src/Tilt.Cli/New.cs"));
        _checkout.Run("list");
        Assert.Equal(4, _checkout.Builds);

        // What the build writes, and what only the tests are made of, is no source of the program.
        Directory.CreateDirectory(_checkout.File_("src/Tilt.Cli/obj"));
        File.WriteAllText(_checkout.File_("src/Tilt.Cli/obj/Generated.cs"), "");
        File.WriteAllText(_checkout.File_("tests/Tilt.Tests/Test.cs"), "// another test");
        _checkout.Run("list");
        Assert.Equal(4, _checkout.Builds);

        Directory.Delete(_checkout.File_("src/Tilt.Cli/bin"), recursive: true);
        _checkout.Run("list");
        Assert.Equal(5, _checkout.Builds);
    }

    [Fact]
    public void Arguments_and_exit_codes_pass_through()
    {
        _checkout.Set("exit-code", "3");

        var result = _checkout.Run("certify", "runs/a b", "--set", "x=$HOME *", "");

        Assert.Equal(3, result.ExitCode);
        Assert.Equal(
            "argument:certify\nargument:runs/a b\nargument:--set\nargument:x=$HOME *\nargument:\n",
            result.Output
        );
    }

    [Fact]
    public void It_works_from_any_folder_and_through_a_link()
    {
        using var elsewhere = new TemporaryFolder();
        File.CreateSymbolicLink(elsewhere.File("link"), _checkout.File_("tilt"));

        var result = Checkout.Finish(_checkout.Start(elsewhere.File("link"), ["list"], elsewhere.Path));

        Assert.Equal((0, "argument:list\n"), (result.ExitCode, result.Output));
        Assert.False(Directory.Exists(elsewhere.File(".tilt")));
    }

    [Fact]
    public void Of_two_at_once_one_builds_and_the_other_waits_and_runs()
    {
        _checkout.Set("build-seconds", "0.7");

        var first = _checkout.Start(_checkout.File_("tilt"), ["one"]);
        var second = _checkout.Start(_checkout.File_("tilt"), ["two"]);
        var results = new[] { Checkout.Finish(first), Checkout.Finish(second) };

        Assert.Equal(["argument:one\n", "argument:two\n"], results.Select(result => result.Output));
        Assert.Equal(1, _checkout.Builds);
        Assert.Single(results, result => result.Error.Contains("waiting for it", StringComparison.Ordinal));
    }

    [Fact]
    public void A_build_server_that_stays_behind_does_not_keep_the_lock()
    {
        _checkout.Set("leaves-server");
        var clock = Stopwatch.StartNew();

        // The server would also hold the pipes of a captured output, so the launcher's output goes nowhere.
        RunSilently("one");
        File.WriteAllText(_checkout.File_("src/Tilt.Cli/Program.cs"), "// another program");
        RunSilently("two");

        Assert.Equal(2, _checkout.Builds);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(15), clock.Elapsed.ToString());

        void RunSilently(string verb)
        {
            var start = new ProcessStartInfo("bash");
            start.ArgumentList.Add("-c");
            start.ArgumentList.Add($"exec '{_checkout.File_("tilt")}' {verb} >/dev/null 2>&1");
            start.Environment["PATH"] = $"{_checkout.Sdk}:{Environment.GetEnvironmentVariable("PATH")}";
            using var process = Process.Start(start)!;
            process.WaitForExit();
            Assert.Equal(0, process.ExitCode);
        }
    }

    [Fact]
    public void A_failed_build_is_shown_never_run_and_tried_again()
    {
        _checkout.Run("list");
        _checkout.Set("broken");
        File.WriteAllText(_checkout.File_("src/Tilt.Cli/Program.cs"), "// a program with a mistake");

        var failed = _checkout.Run("list");

        Assert.Equal(1, failed.ExitCode);
        Assert.Contains("error CS1002", failed.Error, StringComparison.Ordinal);
        Assert.Contains("build-program.log", failed.Error, StringComparison.Ordinal);
        Assert.Empty(failed.Output);

        _checkout.Unset("broken");
        Assert.Equal(0, _checkout.Run("list").ExitCode);
        Assert.Equal(3, _checkout.Builds);
    }

    [Fact]
    public void Without_an_Sdk_it_says_where_to_get_one()
    {
        using var tools = new TemporaryFolder();
        foreach (var folder in new[] { "/usr/bin", "/bin" })
        {
            foreach (var tool in Directory.EnumerateFiles(folder).Where(tool => Path.GetFileName(tool) != "dotnet"))
            {
                if (!File.Exists(tools.File(Path.GetFileName(tool))))
                {
                    File.CreateSymbolicLink(tools.File(Path.GetFileName(tool)), tool);
                }
            }
        }

        var result = Checkout.Finish(_checkout.Start(_checkout.File_("tilt"), ["list"], path: tools.Path));

        Assert.Equal(1, result.ExitCode);
        Assert.Contains("the .NET SDK is not on the PATH", result.Error, StringComparison.Ordinal);
        Assert.Contains("https://dotnet.microsoft.com/download/dotnet/10.0", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void An_Sdk_that_is_too_old_is_named_with_the_one_that_is_wanted()
    {
        _checkout.Set("too-old");

        var result = _checkout.Run("list");

        Assert.Equal(1, result.ExitCode);
        Assert.Contains("8.0.100", result.Error, StringComparison.Ordinal);
        Assert.Contains("10.0.100 or later", result.Error, StringComparison.Ordinal);
        Assert.Equal(0, _checkout.Builds);
    }

    [Fact]
    public void Signals_reach_the_program_itself()
    {
        _checkout.Set("hangs");
        using var process = _checkout.Start(_checkout.File_("tilt"), ["train"]);
        process.StandardOutput.ReadLine();

        Kill(process.Id, "TERM");

        process.WaitForExit();
        Assert.Equal(143, process.ExitCode);
    }

    [Theory]
    [InlineData("passed=\"12\" failed=\"0\" error=\"0\" notExecuted=\"0\"", 0, 0, "12 passed, 0 failed")]
    [InlineData("passed=\"12\" failed=\"0\" error=\"0\" notExecuted=\"3\"", 0, 0, "12 passed, 0 failed, 3 skipped")]
    [InlineData("passed=\"10\" failed=\"2\" error=\"0\" notExecuted=\"0\"", 1, 1, "10 passed, 2 failed")]
    [InlineData("passed=\"10\" failed=\"1\" error=\"1\" notExecuted=\"0\"", 0, 1, "10 passed, 2 failed")]
    [InlineData("passed=\"0\" failed=\"0\" error=\"0\" notExecuted=\"0\"", 0, 2, "0 passed, 0 failed")]
    public void The_last_line_counts_the_results_and_failures_show_in_the_exit_code(
        string counters,
        int runnerExit,
        int exit,
        string last
    )
    {
        _checkout.Set("counters", $"<TestRun><Counters total=\"12\" {counters} /></TestRun>");
        _checkout.Set("exit-code", runnerExit.ToString(CultureInfo.InvariantCulture));

        var result = _checkout.Run("test");

        Assert.Equal(exit, result.ExitCode);
        Assert.Equal(last, result.Output.TrimEnd('\n').Split('\n')[^1]);
    }

    [Fact]
    public void A_test_run_that_broke_down_is_no_success()
    {
        _checkout.Set("exit-code", "134");

        var result = _checkout.Run("test");

        Assert.Equal(134, result.ExitCode);
        Assert.DoesNotContain("passed", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Names_filter_the_tests_and_options_go_to_the_runner()
    {
        _checkout.Set("counters", "<Counters passed=\"1\" failed=\"0\" error=\"0\" notExecuted=\"0\" />");

        _checkout.Run("test", "Sampling", "Energy", "--", "-method", "*a b*");

        Assert.Equal(
            ["tests:-class", "tests:*Sampling*", "tests:-class", "tests:*Energy*", "tests:-method", "tests:*a b*"],
            _checkout.Calls[^7..^1]
        );
    }

    [Fact]
    public void Tests_run_with_interrupts_as_they_are_in_the_foreground()
    {
        _checkout.Run("test");

        // The last digit of the mask holds signals 1 to 4; SIGINT is 2. (The stand-in, being bash, ignores SIGQUIT of itself.)
        var ignored = Convert.ToInt32(_checkout.Calls[^1]["ignored:".Length..], 16);
        Assert.Equal(0, ignored & 0b0010);
    }

    [Fact]
    public void Building_the_tests_leaves_the_program_up_to_date()
    {
        _checkout.Set("counters", "<Counters passed=\"1\" failed=\"0\" error=\"0\" notExecuted=\"0\" />");
        _checkout.Run("list");
        File.WriteAllText(_checkout.File_("src/Tilt.Cli/Program.cs"), "// another program");

        _checkout.Run("test");
        _checkout.Run("list");

        Assert.Equal(
            ["build Tilt.Cli.csproj", "build Tilt.Tests.csproj"],
            _checkout.Calls.Where(call => call.StartsWith("build", StringComparison.Ordinal))
        );
    }

    [Fact]
    public void A_signal_ends_a_test_run_at_once()
    {
        _checkout.Set("hangs");
        using var process = _checkout.Start(_checkout.File_("tilt"), ["test"]);
        SpinWait.SpinUntil(
            () => _checkout.Calls.Any(call => call.StartsWith("tests:", StringComparison.Ordinal)),
            TimeSpan.FromSeconds(10)
        );
        var clock = Stopwatch.StartNew();

        Kill(process.Id, "TERM");

        process.WaitForExit();
        Assert.Equal(143, process.ExitCode);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(10), clock.Elapsed.ToString());
    }

    [Theory]
    [InlineData("0", "eval run", "apt:install")]
    [InlineData("0", "render hopper", "apt:install")]
    [InlineData("0", "doctor --fix", "apt:install")]
    [InlineData("1000", "demo rl", "apt:--simulate")]
    [InlineData("0", "demo 2d", null)]
    [InlineData("0", "list", null)]
    [InlineData("0", "data train-behavior", "apt:install")]
    [InlineData("0", "data ladder run", "apt:install")]
    [InlineData("0", "eval --help", null)]
    [InlineData("0", "data make --help", null)]
    [InlineData("0", "render hopper -h", null)]
    public void Verbs_that_simulate_fetch_physics_and_start_even_when_that_fails(
        string user,
        string line,
        string? expected
    )
    {
        _checkout.Alter("libmujoco.so.2.2.2", "libabsent.so.1");
        _checkout.AddTool("id", $"echo {user}");
        _checkout.AddTool("apt-get", "for word in \"$@\"; do echo \"apt:$word\" >>\"$here/calls\"; done; exit 100");

        var result = _checkout.Run(line.Split(' '));

        Assert.Equal(0, result.ExitCode);
        Assert.StartsWith("argument:", result.Output, StringComparison.Ordinal);
        if (expected is null)
        {
            Assert.DoesNotContain(_checkout.Calls, call => call.StartsWith("apt:", StringComparison.Ordinal));
        }
        else
        {
            Assert.Contains(expected, _checkout.Calls);
            Assert.Contains("apt:libmujoco2.2.2", _checkout.Calls);
            Assert.Contains("could not fetch libmujoco2.2.2", result.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Help_for_tests_needs_no_build()
    {
        var result = _checkout.Run("test", "--help");

        Assert.Equal(0, result.ExitCode);
        Assert.True(result.Output.Split('\n').Length < 25);
        Assert.Contains("Examples:", result.Output, StringComparison.Ordinal);
        Assert.Empty(_checkout.Calls);
    }

    public void Dispose() => _checkout.Dispose();

    private static void Kill(int process, string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", process.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }
}
