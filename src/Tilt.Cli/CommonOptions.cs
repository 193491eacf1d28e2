using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace Tilt.Cli;

/// <summary>The options that verbs share, so that a word means the same everywhere.</summary>
internal static class CommonOptions
{
    private const double MostScale = 1e6;

    /// <summary>What every verb understands: quiet, threads, debug. New ones for each command line.</summary>
    public static IReadOnlyList<Option> Everywhere() =>
        [
            new Option<bool>("--quiet", "-q") { Description = "no remarks and no progress", Recursive = true },
            new Option<int?>("--threads")
            {
                HelpName = "N",
                Description = "threads for numeric work",
                Recursive = true,
                CustomParser = result => (int?)Whole(result, 1, 1024, "4"),
            },
            new Option<bool>("--debug") { Description = "show where an error came from", Recursive = true },
        ];

    /// <summary>The value of one of <see cref="Everywhere"/>.</summary>
    public static T? Shared<T>(this ParseResult parsed, string name)
    {
        var option = parsed.RootCommandResult.Command.Options.OfType<Option<T>>().Single(option => option.Name == name);
        return parsed.GetValue(option);
    }

    /// <summary><c>--json</c>: the table as JSON.</summary>
    public static Option<bool> Json() => new("--json") { Description = "print the table as JSON" };

    /// <summary><c>--task</c>: one of the known tasks.</summary>
    public static Option<string> Task(IReadOnlyCollection<string> known, string preset) =>
        Name("--task", "task", "the data set or environment", known, preset);

    /// <summary><c>--method</c>: one of the known ways to get E_t.</summary>
    public static Option<string> Method(IReadOnlyCollection<string> known, string preset) =>
        Name("--method", "method", "how the intermediate energy is learned", known, preset);

    /// <summary><c>--preset</c>: one of the known sets of options.</summary>
    public static Option<string> Preset(IReadOnlyCollection<string> known, string preset) =>
        Name("--preset", "preset", "the options to start from", known, preset);

    /// <summary><c>--solver</c>: one of the known solvers.</summary>
    public static Option<string> Solver(IReadOnlyCollection<string> known, string preset) =>
        Name("--solver", "solver", "how samples are drawn; 'list solvers' tells", known, preset);

    /// <summary><c>--seed</c>: where all randomness comes from.</summary>
    /// <value>0.</value>
    public static Option<long> Seed() =>
        new("--seed")
        {
            HelpName = "N",
            Description = "where all randomness comes from [0]",
            CustomParser = result => Whole(result, 0, long.MaxValue, "3"),
        };

    /// <summary><c>--steps</c>: gradient steps; null leaves the preset's.</summary>
    public static Option<long?> Steps() =>
        new("--steps")
        {
            HelpName = "N",
            Description = "gradient steps of each stage, instead of the preset's",
            CustomParser = result => (long?)Whole(result, 1, 1_000_000_000, "2000"),
        };

    /// <summary><c>--count</c>: samples to draw.</summary>
    public static Option<long> Count(long preset) =>
        new("--count", "-n")
        {
            HelpName = "N",
            Description = $"samples to draw [{preset}]",
            DefaultValueFactory = _ => preset,
            CustomParser = result => Whole(result, 0, 1_000_000_000, "2000"),
        };

    /// <summary><c>--evaluations</c>: network calls per sample.</summary>
    public static Option<int> Evaluations(int preset) =>
        new("--evaluations")
        {
            HelpName = "N",
            Description = $"network calls a sample may take [{preset}]",
            DefaultValueFactory = _ => preset,
            CustomParser = result => (int)Whole(result, 1, 100_000, "25"),
        };

    /// <summary><c>--beta</c>: inverse temperatures, one or several with commas.</summary>
    public static Option<double[]> Betas(params double[] preset) =>
        Numbers("--beta", "β, the inverse temperature; several with commas", 0, 1e6, "0,3,10", preset);

    /// <summary><c>--scale</c>: guidance scales, one or several with commas. Exact at 1 only.</summary>
    public static Option<double[]> Scales(params double[] preset) =>
        Numbers("--scale", "guidance scale, exact at 1 only; several with commas", 0, MostScale, "0,1,2", preset);

    /// <summary><c>--scale</c>: one guidance scale. Exact at 1 only.</summary>
    /// <value>1.</value>
    public static Option<double> Scale() =>
        new("--scale")
        {
            HelpName = "S",
            Description = "guidance scale, exact at 1 only [1]",
            DefaultValueFactory = _ => 1,
            CustomParser = result =>
            {
                var typed = result.Tokens[0].Value;
                if (
                    double.TryParse(typed, NumberStyles.Float, CultureInfo.InvariantCulture, out var scale)
                    && scale is >= 0 and <= MostScale
                )
                {
                    return scale;
                }
                result.AddError($"--scale '{typed}': expected a number from 0 to {MostScale:0}, as in --scale 1.5.");
                return 1;
            },
        };

    /// <summary><c>--set name=value</c>, repeatable: single options of the method.</summary>
    public static Option<Dictionary<string, string>> Set() =>
        new("--set")
        {
            HelpName = "NAME=VALUE",
            Description = "one option of the method; repeat for more (train with --dry-run lists them)",
            Arity = ArgumentArity.OneOrMore,
            AllowMultipleArgumentsPerToken = false,
            DefaultValueFactory = _ => [],
            CustomParser = Assignments,
        };

    /// <summary><c>--dry-run</c>: print what would run.</summary>
    public static Option<bool> DryRun() =>
        new("--dry-run") { Description = "print the resolved options and a time estimate, then stop" };

    /// <summary><c>--out</c>: the folder to write to.</summary>
    public static Option<string?> Out(string what) =>
        new("--out", "-o")
        {
            HelpName = "FOLDER",
            Description = what,
            CustomParser = result =>
            {
                var path = result.Tokens[0].Value;
                if (File.Exists(path))
                {
                    result.AddError($"--out '{path}' is a file; it must be a folder, existing or new.");
                }
                return path;
            },
        };

    /// <summary><c>--device</c>: where tensors live.</summary>
    /// <value>cpu.</value>
    public static Option<string> Device() => Name("--device", "device", "where to compute", Devices.Names, "cpu");

    /// <summary><c>--precision</c>: the number format of matrix products.</summary>
    /// <value>auto: bf16 where the CPU multiplies it natively, else float32.</value>
    public static Option<string> Precision() =>
        Name("--precision", "precision", "of matrix products", ["auto", "float32", "bf16"], "auto");

    /// <summary>RUN: the folder of a finished or interrupted run.</summary>
    public static Argument<string> Run() =>
        new("RUN")
        {
            Description = "the folder of a run",
            CustomParser = result => RunFolder(result, result.Tokens[0].Value),
        };

    /// <summary>RUN…: the folders of several runs.</summary>
    public static Argument<string[]> Runs() =>
        new("RUN")
        {
            Description = "the folders of runs",
            Arity = ArgumentArity.OneOrMore,
            CustomParser = result => [.. result.Tokens.Select(token => RunFolder(result, token.Value))],
        };

    /// <summary>An option whose value is one of known names; a wrong one gets a suggestion.</summary>
    public static Option<string> Name(
        string option,
        string kind,
        string what,
        IReadOnlyCollection<string> known,
        string preset
    ) =>
        new(option)
        {
            HelpName = "NAME",
            Description = known.Count <= 6 ? $"{what}: {string.Join(", ", known)} [{preset}]" : $"{what} [{preset}]",
            DefaultValueFactory = _ => preset,
            CustomParser = result =>
            {
                var typed = result.Tokens[0].Value;
                if (!known.Contains(typed))
                {
                    result.AddError(Suggest.Unknown(kind, typed, known).Message);
                }
                return typed;
            },
        };

    private static Option<double[]> Numbers(
        string option,
        string what,
        double least,
        double most,
        string example,
        double[] preset
    ) =>
        new(option)
        {
            HelpName = "X,…",
            Description = preset.Length > 0 ? $"{what} [{string.Join(',', preset)}]" : what,
            DefaultValueFactory = _ => preset,
            CustomParser = result =>
            {
                var typed = result.Tokens[0].Value;
                var numbers = new List<double>();
                foreach (var word in typed.Split(','))
                {
                    var isNumber = double.TryParse(
                        word,
                        NumberStyles.Float,
                        CultureInfo.InvariantCulture,
                        out var number
                    );
                    if (!isNumber || !(number >= least && number <= most))
                    {
                        result.AddError(
                            $"{option} '{typed}': '{word}' should be a number from {least} to {most:0}, as in {option} {example}."
                        );
                        break;
                    }
                    numbers.Add(number);
                }
                return [.. numbers];
            },
        };

    private static long Whole(ArgumentResult result, long least, long most, string example)
    {
        var typed = result.Tokens[0].Value;
        if (
            long.TryParse(typed, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            && number >= least
            && number <= most
        )
        {
            return number;
        }
        var option = ((OptionResult)result.Parent!).Option.Name;
        result.AddError(
            $"{option} '{typed}': expected a whole number from {least} to {most}, as in {option} {example}."
        );
        return least;
    }

    private static Dictionary<string, string> Assignments(ArgumentResult result)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var token in result.Tokens)
        {
            var parts = token.Value.Split('=', 2);
            if (parts.Length != 2 || parts[0].Length == 0)
            {
                result.AddError($"--set '{token.Value}': expected NAME=VALUE, as in --set batch=512.");
            }
            else if (!values.TryAdd(parts[0], parts[1]))
            {
                result.AddError($"--set {parts[0]} is given twice: '{values[parts[0]]}' and '{parts[1]}'.");
            }
        }
        return values;
    }

    private static string RunFolder(ArgumentResult result, string path)
    {
        if (!Directory.Exists(path))
        {
            result.AddError(
                File.Exists(path)
                    ? $"'{path}' is a file; expected the folder of a run."
                    : $"there is no folder '{path}'; expected the folder of a run{Nearby(path)}."
            );
        }
        else if (!File.Exists(Path.Combine(path, "options.json")))
        {
            result.AddError($"'{path}' is not the folder of a run: it has no options.json{Nearby(path + "/x")}.");
        }
        return path;
    }

    /// <summary>Names runs that do exist beneath the nearest existing folder.</summary>
    private static string Nearby(string path)
    {
        try
        {
            var folder = Path.GetDirectoryName(Path.GetFullPath(path));
            while (folder is not null && !Directory.Exists(folder))
            {
                folder = Path.GetDirectoryName(folder);
            }
            var search = new EnumerationOptions
            {
                RecurseSubdirectories = true,
                MaxRecursionDepth = 4,
                IgnoreInaccessible = true,
            };
            var runs = Directory
                .EnumerateFiles(folder ?? ".", "options.json", search)
                .Take(3)
                .Select(file => Path.GetRelativePath(".", Path.GetDirectoryName(file)!))
                .ToList();
            return runs.Count > 0 ? $", such as {string.Join(" or ", runs)}" : "";
        }
        catch (IOException)
        {
            return "";
        }
    }
}
