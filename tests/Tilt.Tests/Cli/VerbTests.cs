using System.CommandLine;
using System.Text.Json;
using Tilt.Cli;
using Tilt.Cli.Health;
using Tilt.Cli.Verbs;

namespace Tilt.Tests.Cli;

public class VerbTests
{
    public static TheoryData<string> EveryVerb()
    {
        var data = new TheoryData<string>();
        foreach (var path in Paths(VerbCatalogue.Root(new Terminal(TextWriter.Null, TextWriter.Null)), ""))
        {
            data.Add(path);
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(EveryVerb))]
    public void Help_fits_a_screen_and_shows_two_examples(string path)
    {
        var result = CommandLine.Run([.. path.Split(' ', StringSplitOptions.RemoveEmptyEntries), "--help"]);

        var lines = result.Output.TrimEnd().Split('\n');
        Assert.Equal(0, result.ExitCode);
        Assert.True(lines.Length < 25, $"{lines.Length} lines:\n{result.Output}");
        Assert.True(lines.SkipWhile(line => line != "Examples:").Count() >= 3, result.Output);
        Assert.All(lines, line => Assert.True(line.Length <= 100, line));
    }

    [Fact]
    public void Without_a_verb_the_help_page_appears()
    {
        var result = CommandLine.Run();

        Assert.Equal(0, result.ExitCode);
        Assert.Contains("Usage: ./tilt VERB", result.Output, StringComparison.Ordinal);
        Assert.Contains("doctor", result.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("dotcor", "unknown verb 'dotcor'. Did you mean 'doctor'?")]
    [InlineData("doctor --jsn", "unknown option '--jsn'. Did you mean '--json'?")]
    [InlineData("list --jsn", "unknown option '--jsn'. Did you mean '--json'?")]
    [InlineData("list schedule", "unknown kind 'schedule'. Did you mean 'schedules'?")]
    [InlineData("doctor now", "'now' is one argument too many")]
    [InlineData("list schedules twice", "'twice' is one argument too many")]
    [InlineData("doctor --threads", "--threads needs a value")]
    [InlineData("doctor --threads none", "--threads 'none': expected a whole number from 1 to 1024")]
    [InlineData("doctor --threads 0", "--threads '0': expected a whole number from 1 to 1024")]
    [InlineData("test", "run './tilt test'")]
    public void A_wrong_request_says_what_to_type_and_exits_with_2(string line, string expected)
    {
        var result = CommandLine.Run(line.Split(' '));

        Assert.Equal(2, result.ExitCode);
        Assert.Contains(expected, result.Error, StringComparison.Ordinal);
        Assert.Contains("--help' shows", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
        Assert.Empty(result.Output);
    }

    [Fact]
    public void Failures_exit_with_their_code_and_show_their_origin_only_on_request()
    {
        Verb Failing(Exception failure)
        {
            var verb = new Verb("fail", "Fails.");
            verb.SetAction(new Func<ParseResult, int>(_ => throw failure));
            return verb;
        }

        var notMet = CommandLine.Run(Failing(new TiltException("gradient error 0.4 exceeds 0.1", 3)), "fail");
        var unreadable = CommandLine.Run(Failing(new IOException("No space left on device : 'runs/x'")), "fail");
        var defect = CommandLine.Run(Failing(new InvalidOperationException("sequence is empty")), "fail");

        Assert.Equal((3, "tilt fail: gradient error 0.4 exceeds 0.1\n"), (notMet.ExitCode, notMet.Error));
        Assert.Equal((1, "tilt fail: No space left on device : 'runs/x'\n"), (unreadable.ExitCode, unreadable.Error));
        Assert.Equal(1, defect.ExitCode);
        Assert.Contains("--debug", defect.Error, StringComparison.Ordinal);

        var traced = CommandLine.Run(Failing(new TiltException("gradient error", 3)), "fail", "--debug");
        Assert.Equal(3, traced.ExitCode);
        Assert.Contains("   at ", traced.Error, StringComparison.Ordinal);
        Assert.Throws<InvalidOperationException>(() =>
            CommandLine.Run(Failing(new InvalidOperationException("x")), "fail", "--debug")
        );
    }

    [Fact]
    public void Shared_options_check_what_they_are_given()
    {
        var seen = "";
        Verb Sampling()
        {
            var task = CommonOptions.Task(["8gaussians", "rings", "moons"], "8gaussians");
            var betas = CommonOptions.Betas(3);
            var seed = CommonOptions.Seed();
            var set = CommonOptions.Set();
            var device = CommonOptions.Device();
            var verb = new Verb("draw", "Draws.")
            {
                task,
                betas,
                seed,
                set,
                device,
                CommonOptions.Count(2000),
                CommonOptions.Out("where"),
            };
            verb.SetAction(parsed =>
            {
                seen =
                    $"{parsed.GetValue(task)} {string.Join('|', parsed.GetValue(betas)!)} {parsed.GetValue(seed)} "
                    + string.Join('|', parsed.GetValue(set)!.Select(pair => $"{pair.Key}:{pair.Value}"));
                Devices.Resolve(parsed.GetValue(device)!);
            });
            return verb;
        }

        Assert.Equal(0, CommandLine.Run(Sampling(), "draw").ExitCode);
        Assert.Equal("8gaussians 3 0 ", seen);
        var line = "draw --task rings --beta 0,3.5,10 --seed 7 --set batch=512 --set rate=1e-3";
        Assert.Equal(0, CommandLine.Run(Sampling(), line.Split(' ')).ExitCode);
        Assert.Equal("rings 0|3.5|10 7 batch:512|rate:1e-3", seen);

        foreach (
            var (wrong, told) in new[]
            {
                ("--task ring", "unknown task 'ring'. Did you mean 'rings'?"),
                ("--beta -1", "'-1' should be a number from 0"),
                ("--beta 1,nan", "'nan' should be a number from 0"),
                ("--beta 1,,2", "'' should be a number from 0"),
                ("--seed -3", "expected a whole number from 0"),
                ("--seed 1.5", "expected a whole number from 0"),
                ("--set batch", "expected NAME=VALUE"),
                ("--set a=1 --set a=2", "given twice"),
                ("--count 99999999999", "expected a whole number from 0"),
                ("--device gpu", "unknown device 'gpu'"),
                ("--out /proc/version", "is a file; it must be a folder"),
            }
        )
        {
            var result = CommandLine.Run(Sampling(), $"draw {wrong}".Split(' '));
            Assert.Equal(2, result.ExitCode);
            Assert.Contains(told, result.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Cuda_without_a_Gpu_build_is_refused_with_the_remedy()
    {
        if (torch.cuda.is_available())
        {
            return;
        }
        var failure = Assert.Throws<TiltException>(() => Devices.Resolve("cuda"));

        Assert.Equal(2, failure.ExitCode);
        Assert.Contains("TorchSharp-cuda-linux", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_is_a_folder_with_options()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.File("runs/good"));
        Directory.CreateDirectory(folder.File("runs/empty"));
        File.WriteAllText(folder.File("runs/good/options.json"), "{}");
        Verb Certify()
        {
            var verb = new Verb("certify", "Certifies.") { CommonOptions.Run() };
            verb.SetAction(_ => { });
            return verb;
        }

        Assert.Equal(0, CommandLine.Run(Certify(), "certify", folder.File("runs/good")).ExitCode);

        var empty = CommandLine.Run(Certify(), "certify", folder.File("runs/empty"));
        var absent = CommandLine.Run(Certify(), "certify", folder.File("runs/god"));
        var none = CommandLine.Run(Certify(), "certify");
        Assert.All([empty, absent, none], result => Assert.Equal(2, result.ExitCode));
        Assert.Contains("no options.json", empty.Error, StringComparison.Ordinal);
        Assert.Contains("runs/good", absent.Error, StringComparison.Ordinal);
        Assert.Contains("RUN is missing", none.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("doctor --json")]
    [InlineData("list --json")]
    [InlineData("version --json")]
    public void Tables_come_as_Json_too(string line)
    {
        var result = CommandLine.Run(line.Split(' '));

        using var document = JsonDocument.Parse(result.Output);
        Assert.True(document.RootElement.GetArrayLength() > 0);
    }

    [Fact]
    public void Doctor_finds_libtorch_the_wait_policy_and_the_font()
    {
        var result = CommandLine.Run("doctor");

        Assert.Equal(0, result.ExitCode);
        Assert.Contains("OMP_WAIT_POLICY", result.Output, StringComparison.Ordinal);
        Assert.Contains("GLIBCXX", result.Output, StringComparison.Ordinal);
        Assert.Contains("DejaVu Sans", result.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("BROKEN", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_need_for_a_newer_Cxx_runtime_is_weak_in_the_build_output()
    {
        var library = Path.Combine(AppContext.BaseDirectory, HealthChecks.TorchLibrary);

        var need = SharedLibrary.VersionNeeds(library).Single(need => need.Version == "GLIBCXX_3.4.32");

        Assert.True(need.IsWeak);
        Assert.Equal("libstdc++.so.6", need.Library);
    }

    [Fact]
    public void A_library_that_is_missing_truncated_or_unpatched_is_reported_with_a_command()
    {
        using var folder = new TemporaryFolder();
        var library = File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, HealthChecks.TorchLibrary));
        File.WriteAllBytes(folder.File("short.so"), library[..200]);
        File.WriteAllText(folder.File("old-runtime.so"), "GLIBCXX_3.4.9\0GLIBCXX_3.4.30\0");
        File.WriteAllText(folder.File("new-runtime.so"), "GLIBCXX_3.4.9\0GLIBCXX_3.4.33\0");
        File.WriteAllBytes(folder.File("strict.so"), MadeStrict(library));

        Finding Check(string name, string runtime) => HealthChecks.CxxRuntime(folder.File(name), folder.File(runtime));

        Assert.All(
            [
                Check("absent.so", "old-runtime.so"),
                Check("short.so", "old-runtime.so"),
                Check("strict.so", "old-runtime.so"),
            ],
            finding =>
            {
                Assert.Equal(State.Broken, finding.State);
                Assert.StartsWith("dotnet ", finding.Remedy, StringComparison.Ordinal);
            }
        );
        Assert.Equal(State.Fine, Check("strict.so", "new-runtime.so").State);
    }

    [Fact]
    public void Doctor_fails_when_something_is_broken_and_not_when_something_is_optional()
    {
        using var output = new StringWriter();
        var terminal = new Terminal(output, TextWriter.Null);

        Assert.Equal(
            0,
            Doctor.Run(terminal, [() => new("MuJoCo", State.Optional, "absent", "apt-get install x")], json: false)
        );
        Assert.Equal(
            1,
            Doctor.Run(terminal, [() => new("libtorch", State.Broken, "absent", "dotnet build")], json: false)
        );
        Assert.Contains("→ apt-get install x", output.ToString(), StringComparison.Ordinal);
    }

    private static IEnumerable<string> Paths(Command command, string path)
    {
        yield return path;
        foreach (var sub in command.Subcommands)
        {
            foreach (var deeper in Paths(sub, $"{path} {sub.Name}".Trim()))
            {
                yield return deeper;
            }
        }
    }

    /// <summary>Clears the weak flag again: the version's hash stands before the flag and is unique enough to find it by.</summary>
    private static byte[] MadeStrict(byte[] library)
    {
        uint hash = 0;
        foreach (var letter in "GLIBCXX_3.4.32")
        {
            hash = (hash << 4) + letter;
            var high = hash & 0xf0000000;
            hash = (hash ^ (high >> 24)) & ~high;
        }
        var strict = library.ToArray();
        var at = strict.AsSpan().IndexOf(BitConverter.GetBytes(hash));
        strict[at + 4] = 0;
        return strict;
    }
}
