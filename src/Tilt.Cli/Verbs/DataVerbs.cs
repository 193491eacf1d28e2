using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Tilt.OfflineRl.Data;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt data</c>: the verbs on data sets, and the options they share.</summary>
internal static class DataVerbs
{
    /// <summary>A file that a data set is written to.</summary>
    /// <param name="option">Which option named it.</param>
    /// <param name="file">What it says; .hdf5 is put behind a name without an ending.</param>
    /// <exception cref="TiltException">The ending is another's: it would be read as something else, or be the manifest's own name.</exception>
    public static string Target(string option, string file) =>
        Path.GetExtension(file).ToLowerInvariant() switch
        {
            "" => file + ".hdf5",
            ".hdf5" or ".h5" => file,
            var ending => throw TiltException.Usage(
                $"{option} {file}: found the ending '{ending}', expected .hdf5 or .h5, for that is what is written. "
                    + $"Name {Path.ChangeExtension(file, ".hdf5")}, say."
            ),
        };

    /// <summary>The verb with those below it.</summary>
    public static Verb Verb(Terminal terminal) =>
        new(
            "data",
            "Makes data sets, looks into them, scores them, and takes in others' files.",
            "./tilt data make maze2d-umaze",
            "./tilt data import log.csv --to data/my-robot.hdf5"
        )
        {
            DataMake.Verb(terminal),
            DataInspect.Verb(terminal),
            DataScore.Verb(terminal),
            DataImport.Verb(terminal),
            DataTrainBehavior.Verb(terminal),
            DataLadder.Verb(terminal),
        };

    /// <summary><c>--field FIELD=NAME,…</c>, repeatable: what the file calls a field.</summary>
    public static Option<StepFields> Fields() =>
        new("--field")
        {
            HelpName = "FIELD=NAME,…",
            Description = "what the file calls reward, observations, …; repeat for more",
            Arity = ArgumentArity.OneOrMore,
            AllowMultipleArgumentsPerToken = false,
            DefaultValueFactory = _ => new(),
            CustomParser = result =>
            {
                var fields = new StepFields();
                foreach (var token in result.Tokens)
                {
                    var parts = token.Value.Split('=', 2);
                    if (parts.Length != 2 || parts[1].Length == 0)
                    {
                        result.AddError($"--field '{token.Value}': expected FIELD=NAME, as in --field reward=r.");
                        continue;
                    }
                    try
                    {
                        fields = fields.With(parts[0], parts[1].Split(','));
                    }
                    catch (TiltException error)
                    {
                        result.AddError($"--field: {error.Message}");
                    }
                }
                return fields;
            },
        };

    /// <summary><c>--episode-steps</c>: the step limit, for data that do not mark cut-off steps.</summary>
    public static Option<int?> EpisodeSteps() =>
        new("--episode-steps")
        {
            HelpName = "N",
            Description = "step limit of an episode, for files without timeouts",
            CustomParser = result =>
            {
                var typed = result.Tokens[0].Value;
                if (int.TryParse(typed, NumberStyles.None, CultureInfo.InvariantCulture, out var steps) && steps > 0)
                {
                    return steps;
                }
                result.AddError(
                    $"--episode-steps '{typed}': expected a whole number from 1, as in --episode-steps 1000."
                );
                return null;
            },
        };

    /// <summary><c>--task</c>: D4RL's task.</summary>
    /// <param name="why">What it is wanted for.</param>
    public static Option<string?> Task(string why) =>
        new("--task")
        {
            HelpName = "NAME",
            Description = $"D4RL's name of the task, {why}",
            CustomParser = result =>
            {
                var typed = result.Tokens[0].Value;
                try
                {
                    return D4rlTask.Named(typed).Name;
                }
                catch (TiltException error)
                {
                    result.AddError($"--task: {error.Message}");
                    return typed;
                }
            },
        };

    /// <summary>The task that was asked for, or the one that the data set's or the file's name begins with.</summary>
    public static D4rlTask? TaskOf(string? asked, string name)
    {
        if (asked is not null)
        {
            return D4rlTask.Named(asked);
        }
        // Own files are named tilt-hopper-medium. D4RL writes hopper_medium-v2.hdf5 for hopper-medium-v2; own files keep the name.
        var bare = Path.GetFileNameWithoutExtension(name);
        if (bare.StartsWith(DataFiles.OwnPrefix, StringComparison.Ordinal))
        {
            bare = bare[DataFiles.OwnPrefix.Length..];
        }
        var words = bare.Replace('_', '-').Split('-');
        for (var length = words.Length; length > 0; length--)
        {
            if (D4rlTask.Find(string.Join('-', words[..length])) is { } task)
            {
                return task;
            }
        }
        return null;
    }
}
