using System.CommandLine;
using System.Globalization;
using Tilt.OfflineRl.Data;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt data score</c>: returns as D4RL's normalized scores.</summary>
internal static class DataScore
{
    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "score",
            "Normalizes returns as D4RL does: 0 is a random policy's, 100 an expert's.",
            "./tilt data score hopper 1500 3200",
            "./tilt data score hopper-medium-v2 --data hopper_medium-v2.hdf5"
        );
        var task = new Argument<string>("NAME") { Description = "D4RL's name of a data set or task" };
        var returns = new Argument<double[]>("RETURN")
        {
            Description = "returns to normalize; without any, those of the data set's episodes",
            Arity = ArgumentArity.ZeroOrMore,
            CustomParser = result =>
            {
                var numbers = new List<double>();
                foreach (var token in result.Tokens)
                {
                    if (
                        !double.TryParse(token.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
                        || !double.IsFinite(number)
                    )
                    {
                        result.AddError(
                            $"'{token.Value}' should be a return, a finite number, as in ./tilt data score hopper 1500."
                        );
                    }
                    numbers.Add(number);
                }
                return [.. numbers];
            },
        };
        var data = new Option<string?>("--data")
        {
            HelpName = "FILE",
            Description = "the file whose episodes are scored, instead of the named one",
        };
        var json = CommonOptions.Json();
        verb.Add(task);
        verb.Add(returns);
        verb.Add(data);
        verb.Add(json);
        verb.SetAction(parsed =>
        {
            var known = D4rlTask.Named(parsed.GetRequiredValue(task));
            var table = new Table(
                new TableColumn("what", ""),
                new TableColumn("return", "return", "0.####"),
                new TableColumn("score", "score", "0.####")
            );
            void Add(string what, double value) => table.Add(what, value, known.Score(value));
            var given = parsed.GetValue(returns) ?? [];
            foreach (var value in given)
            {
                Add("given", value);
            }
            if (given.Length == 0)
            {
                var path = DataFiles.Find(parsed.GetRequiredValue(task), parsed.GetValue(data));
                using var steps = RecordedSteps.Open(path);
                if (known is { ObservationSize: { } s, ActionSize: { } a })
                {
                    steps.ExpectSizes(known.Name, s, a);
                }
                var values = steps.Episodes(known.EpisodeSteps).Select(episode => episode.Return).Order().ToList();
                if (values.Count == 0)
                {
                    throw new DataException(
                        path,
                        "the steps",
                        "no whole episode",
                        "at least one",
                        "Name a file that marks where episodes end."
                    );
                }
                if (known.Name.StartsWith("maze2d", StringComparison.Ordinal))
                {
                    terminal.Remark(
                        "maze2d data are runs from target to target, not episodes of the task; their scores say little"
                    );
                }
                Add("least", values[0]);
                Add($"mean of {values.Count} episodes", values.Average());
                Add("greatest", values[^1]);
            }
            table.Show(terminal, parsed.GetValue(json));
            return 0;
        });
        return verb;
    }
}
