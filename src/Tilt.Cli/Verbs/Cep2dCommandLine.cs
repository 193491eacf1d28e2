using System.CommandLine;
using System.Globalization;
using Tilt.Networks;
using Tilt.Runs;
using Tilt.Toys;

namespace Tilt.Cli.Verbs;

/// <summary>How command lines name what the 2-D experiment has: tasks, methods, run folders.</summary>
internal static class Cep2dCommandLine
{
    /// <summary>Methods as they are typed.</summary>
    public static IReadOnlyList<string> MethodNames { get; } =
    [.. Enum.GetValues<GuidanceMethod>().Select(Cep2dModel.NameOf)];

    /// <summary>Tasks as they are typed.</summary>
    public static IReadOnlyList<string> TaskNames { get; } = [.. ToyDatasets.Labelled.Select(set => set.Name)];

    /// <summary><c>--method</c>: one or several with commas, or <c>all</c>.</summary>
    public static Option<GuidanceMethod[]> Methods(string what, params GuidanceMethod[] preset) =>
        new("--method", "-m")
        {
            HelpName = "NAME,…",
            Description =
                $"{what}: {string.Join(", ", MethodNames)} or all"
                + (preset.Length > 0 ? $" [{string.Join(',', preset.Select(Cep2dModel.NameOf))}]" : ""),
            DefaultValueFactory = _ => preset,
            CustomParser = result =>
            {
                var typed = result.Tokens[0].Value;
                if (typed == "all")
                {
                    return Enum.GetValues<GuidanceMethod>();
                }
                var methods = new List<GuidanceMethod>();
                foreach (var word in typed.Split(','))
                {
                    if (!MethodNames.Contains(word))
                    {
                        result.AddError(Suggest.Unknown("method", word, [.. MethodNames, "all"]).Message);
                        break;
                    }
                    methods.Add(Enum.Parse<GuidanceMethod>(word, ignoreCase: true));
                }
                return [.. methods.Distinct()];
            },
        };

    /// <summary>Where a run goes when the user names no folder.</summary>
    public static string DefaultFolder(Cep2dOptions options)
    {
        var methods =
            options.Methods.Count == MethodNames.Count
                ? "all"
                : string.Join('-', options.Methods.Select(Cep2dModel.NameOf));
        var name = $"cep2d-{methods}";
        if (options.Preset != "quick")
        {
            name += $"-{options.Preset}";
        }
        if (options.Beta is { } beta)
        {
            name += $"-beta-{beta.ToString(CultureInfo.InvariantCulture)}";
        }
        return Path.Combine("runs", options.Task, name, $"seed-{options.Seed}");
    }

    /// <summary>The manifest of a run that starts or goes on now.</summary>
    public static RunManifest Manifest(Cep2dOptions options) =>
        RunManifest.Collect(options.Seed, MixedPrecision.Name(options.Precision));
}
