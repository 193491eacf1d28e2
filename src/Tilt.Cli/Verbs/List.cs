using System.CommandLine;
using Tilt.Environments;
using Tilt.OfflineRl.Algorithms;
using Tilt.OfflineRl.Collection;
using Tilt.OfflineRl.Data;
using Tilt.Runs;
using Tilt.Sampling;
using Tilt.Toys;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt list</c>: the names that other verbs understand, from the catalogues that define them.</summary>
internal static class List
{
    /// <summary>Every kind of name, with the catalogue it comes from.</summary>
    public static IReadOnlyDictionary<string, Func<Table>> Kinds { get; } =
        new SortedDictionary<string, Func<Table>>(StringComparer.Ordinal)
        {
            ["algorithms"] = Algorithms,
            ["d4rl"] = D4rlSets,
            ["datasets"] = DataSets,
            ["found"] = Found,
            ["makeable"] = Makeable,
            ["methods"] = Methods,
            ["options"] = AllOptions,
            ["presets"] = Presets,
            ["schedules"] = Schedules,
            ["solvers"] = AllSolvers,
            ["tasks"] = TaskTable,
        };

    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "list",
            "Lists the names that other verbs understand.",
            "./tilt list",
            "./tilt list schedules --json"
        );
        var kind = new Argument<string?>("KIND")
        {
            Description = $"only these: {string.Join(", ", Kinds.Keys)}",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var json = CommonOptions.Json();
        verb.Add(kind);
        verb.Add(json);
        verb.SetAction(parsed =>
        {
            var chosen = parsed.GetValue(kind);
            if (chosen is not null && !Kinds.ContainsKey(chosen))
            {
                throw Suggest.Unknown("kind", chosen, [.. Kinds.Keys]);
            }
            Print(terminal, [.. Kinds.Where(pair => chosen is null || pair.Key == chosen)], parsed.GetValue(json));
        });
        return verb;
    }

    private static void Print(Terminal terminal, IReadOnlyList<KeyValuePair<string, Func<Table>>> kinds, bool json)
    {
        if (json)
        {
            var all = new Table(
                new TableColumn("kind", ""),
                new TableColumn("name", ""),
                new TableColumn("meaning", "")
            );
            foreach (var (kind, make) in kinds)
            {
                var table = make();
                for (var row = 0; row < table.Rows.Count; row++)
                {
                    all.Add(kind, table.Rows[row][0], string.Join("; ", table.Rows[row].Skip(1)));
                }
            }
            all.WriteJson(terminal.Output);
            return;
        }
        foreach (var (kind, make) in kinds)
        {
            if (kinds.Count > 1)
            {
                terminal.Line(kind == kinds[0].Key ? kind.ToUpperInvariant() : $"\n{kind.ToUpperInvariant()}");
            }
            make().Print(terminal);
        }
    }

    private static Table DataSets()
    {
        var table = new Table(
            new TableColumn("name", "name"),
            new TableColumn("paper", "paper"),
            new TableColumn("labels", "labels"),
            new TableColumn("meaning", "meaning")
        );
        foreach (var set in ToyDatasets.All)
        {
            table.Add(set.Name, ToyDatasets.Paper.Contains(set), set.HasLabels, set.Description);
        }
        return table;
    }

    /// <summary>What 'data make' makes, and what of it lies in the folder of own data sets.</summary>
    private static Table Makeable()
    {
        var table = new Table(
            new TableColumn("name", "name"),
            new TableColumn("steps", "steps"),
            new TableColumn("paper_row", "row of the paper"),
            new TableColumn("state", "state"),
            new TableColumn("meaning", "meaning")
        );
        foreach (var recipe in DataRecipes.All)
        {
            var state =
                File.Exists(DataFiles.OwnFile(recipe.Name)) ? "made"
                : recipe.Missing() is null ? "can be made"
                : recipe.TakesPolicyFile ? "wants --policy"
                : "cannot be made yet";
            table.Add(recipe.Name, recipe.DefaultSize, recipe.PaperRow ?? "–", state, recipe.Summary);
        }
        return table;
    }

    /// <summary>The data files that are there: own ones, made and imported, and D4RL's.</summary>
    private static Table Found()
    {
        var table = new Table(
            new TableColumn("name", "name"),
            new TableColumn("steps", "steps"),
            new TableColumn("megabytes", "MB", "0.#"),
            new TableColumn("paper_row", "row of the paper"),
            new TableColumn("from", "from"),
            new TableColumn("file", "file")
        );
        var d4rl = D4rlTask
            .Names.Select(D4rlTask.Named)
            .Select(task => (task.Name, File: Path.Combine(DataFiles.D4rlFolder, task.FileName)));
        var own = Directory.Exists(DataFiles.OwnFolder)
            ? Directory
                .EnumerateFiles(DataFiles.OwnFolder, "*.hdf5")
                .Order(StringComparer.Ordinal)
                .Select(file => (Name: Path.GetFileNameWithoutExtension(file), File: file))
            : [];
        foreach (var (name, file) in own.Concat(d4rl.Where(set => File.Exists(set.File))))
        {
            var (steps, from) = Glance(file);
            table.Add(name, steps, new FileInfo(file).Length / 1e6, PaperRowOf(name), from, file);
        }
        return table;
    }

    /// <summary>How many steps a file has and who made it, from its header alone.</summary>
    private static (long? Steps, string From) Glance(string file)
    {
        try
        {
            var contents = FileContents.Of(file);
            var shape = contents.Entries.FirstOrDefault(entry => entry.Name == "rewards")?.Shape ?? "";
            var digits = string.Concat(shape.SkipWhile(c => !char.IsAsciiDigit(c)).TakeWhile(char.IsAsciiDigit));
            return (
                long.TryParse(digits, out var steps) ? steps : null,
                contents.Attributes.GetValueOrDefault("made_by") ?? "D4RL or others"
            );
        }
        catch (TiltException)
        {
            return (null, "cannot be read: './tilt data inspect' says why");
        }
    }

    private static Table D4rlSets()
    {
        var table = new Table(
            new TableColumn("name", "name"),
            new TableColumn("random_return", "score 0", "0.##"),
            new TableColumn("expert_return", "score 100", "0.##"),
            new TableColumn("episode_steps", "steps"),
            new TableColumn("paper_row", "row of the paper"),
            new TableColumn("file", "file in " + DataFiles.D4rlFolder),
            new TableColumn("present", "there")
        );
        foreach (var task in D4rlTask.Names.Select(D4rlTask.Named))
        {
            var present = File.Exists(Path.Combine(DataFiles.D4rlFolder, task.FileName));
            table.Add(
                task.Name,
                task.MinReturn,
                task.MaxReturn,
                task.EpisodeSteps,
                PaperRowOf(task.Name),
                task.FileName,
                present
            );
        }
        return table;
    }

    /// <summary>The paper's table is about version 2 of D4RL's data; what Tilt makes after it is shown with the same row.</summary>
    private static string PaperRowOf(string name) =>
        D4rlTask.Exactly(name) is not null && !name.EndsWith("-v2", StringComparison.Ordinal)
            ? "–"
            : PaperRows.Of(name) ?? "–";

    private static Table Algorithms()
    {
        var table = new Table(new TableColumn("name", "name"), new TableColumn("meaning", "meaning"));
        table.Add("cep2d", "noise model and intermediate energies on a 2-D data set; the paper's 2-D figures");
        table.Add(
            "qgpo",
            "a policy from logged data: behavior, critic, guidance; the paper's table of 15 rows ('list d4rl')"
        );
        return table;
    }

    private static Table Methods()
    {
        var table = new Table(new TableColumn("name", "name"), new TableColumn("meaning", "meaning"));
        table.Add("cep", "contrastive energy prediction: exact as the contrast set grows");
        table.Add("cep-unbiased", "the same with labels that the draw does not shift: exact for every size (qgpo)");
        table.Add("mse", "regression onto the energy: not exact");
        table.Add("emse", "regression onto its exponential: exact in theory, hard to reach for strong tilts");
        table.Add("dps", "the energy of the estimated clean sample: not exact, nothing to train");
        return table;
    }

    private static Table Presets()
    {
        var table = new Table(
            new TableColumn("algorithm", "algorithm"),
            new TableColumn("name", "name"),
            new TableColumn("meaning", "meaning")
        );
        table.Add("cep2d", "quick", "ours: about a minute on one core for a noise model and an energy");
        table.Add("cep2d", "paper", "the authors' networks, data, steps, rates and sampler");
        table.Add("qgpo", "quick", "ours: smaller networks, critic first; under half an hour on two cores");
        table.Add("qgpo", "demo", "ours: the same, a few minutes");
        table.Add("qgpo", "paper", "the authors' networks, steps, rates, rewards and sampler: days on two cores");
        return table;
    }

    /// <summary>What <c>--set</c> takes, with the values of the presets.</summary>
    private static Table AllOptions()
    {
        var table = new Table(
            new TableColumn("algorithm", "algorithm"),
            new TableColumn("name", "name"),
            new TableColumn("quick", "quick"),
            new TableColumn("paper", "paper")
        );
        Add(
            "cep2d",
            OptionRecords.List(Cep2dOptions.For("quick", "8gaussians"), Cep2dJson.Default.Cep2dOptions),
            OptionRecords.List(Cep2dOptions.For("paper", "8gaussians"), Cep2dJson.Default.Cep2dOptions)
        );
        Add(
            "qgpo",
            OptionRecords.List(QgpoOptions.For("quick", "hopper-medium-v2"), QgpoJson.Default.QgpoOptions),
            OptionRecords.List(QgpoOptions.For("paper", "hopper-medium-v2"), QgpoJson.Default.QgpoOptions)
        );
        return table;

        void Add(
            string algorithm,
            IReadOnlyList<(string Name, string Value)> quick,
            IReadOnlyList<(string Name, string Value)> paper
        )
        {
            foreach (var ((name, ours), (_, theirs)) in quick.Zip(paper))
            {
                table.Add(algorithm, name, ours, theirs);
            }
        }
    }

    private static Table Schedules()
    {
        var table = new Table(
            new TableColumn("name", "name"),
            new TableColumn("parameters", "parameters and their defaults")
        );
        foreach (var name in NoiseSchedules.Names)
        {
            var parameters = NoiseSchedules.Describe(NoiseSchedules.Parse(name)).Parameters;
            table.Add(name, string.Join(", ", parameters.Select(pair => $"{pair.Key} {pair.Value:g6}")));
        }
        return table;
    }

    private static Table AllSolvers()
    {
        var table = new Table(
            new TableColumn("name", "name"),
            new TableColumn("order", "order"),
            new TableColumn("random", "random"),
            new TableColumn("meaning", "meaning")
        );
        foreach (var solver in Solvers.All)
        {
            table.Add(solver.Name, solver.Order, solver.Stochastic, solver.Description);
        }
        return table;
    }

    private static Table TaskTable()
    {
        var table = new Table(
            new TableColumn("name", "name"),
            new TableColumn("meaning", "meaning"),
            new TableColumn("observation_size", "S"),
            new TableColumn("action_size", "A"),
            new TableColumn("maximum_steps", "steps"),
            new TableColumn("paper_rows", "rows of the paper"),
            new TableColumn("random_return", "random", "0.##"),
            new TableColumn("expert_return", "expert", "0.##")
        );
        foreach (var task in Tasks.All)
        {
            table.Add(
                task.Name,
                task.Summary,
                task.ObservationSize,
                task.ActionSize,
                task.MaximumSteps,
                PaperRows.OfTask(task.Name) is { Count: > 0 } rows ? string.Join(", ", rows) : "–",
                task.Score?.Random,
                task.Score?.Expert
            );
        }
        return table;
    }
}
