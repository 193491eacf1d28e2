using System.Globalization;
using System.Text.Json;
using Tilt.OfflineRl.Data;
using Tilt.OfflineRl.Data.Hdf5;
using Tilt.Tests.Golden;

namespace Tilt.Tests.OfflineRl.Data;

/// <summary>G9: files in D4RL's layout are read as D4RL reads them, and the bad ones are refused with a useful message.</summary>
public class D4rlGoldenTests
{
    /// <summary>What each bad file's error has to name: a field, and words of what was found.</summary>
    private static readonly Dictionary<string, (string Field, string Found)> Defects = new()
    {
        ["truncated"] = ("length", "37941"),
        ["truncated_header"] = ("superblock", "50 bytes"),
        ["empty"] = ("signature", "empty file"),
        ["not_hdf5"] = ("signature", "bytes"),
        ["missing_rewards"] = ("rewards", "actions, observations, terminals, timeouts"),
        ["missing_observations"] = ("observations", "actions, rewards, terminals, timeouts"),
        ["missing_terminals"] = ("terminals", "actions, observations, rewards, timeouts"),
        ["nan_rewards"] = ("rewards[5]", "NaN"),
        ["inf_observations"] = ("observations[3, 1]", "+infinity"),
        ["mismatched_lengths"] = ("actions", "79 rows"),
        ["mismatched_rewards"] = ("rewards", "79 rows"),
        ["string_observations"] = ("observations", "text of 8 bytes"),
        ["int_observations"] = ("observations", "int32"),
        ["rank1_observations"] = ("observations", "(83,)"),
        ["rewards_two_columns"] = ("rewards", "(83, 2)"),
        ["zero_rows"] = ("observations", "0 rows"),
        ["one_row"] = ("the steps", "1 steps that make no transition"),
        ["no_episode_end"] = ("rewards", "no window of 1000 transitions"),
        ["constant_returns"] = ("rewards", "returns that are all 0"),
        ["corrupt_chunk"] = ("observations", "does not inflate"),
        ["corrupt_adler"] = ("observations", "does not inflate"),
    };

    public static TheoryData<string> ValidNames => [.. D4rlGolden.ValidNames];

    public static TheoryData<string> BadNames => [.. D4rlGolden.BadNames];

    [Fact]
    public void No_case_is_missing()
    {
        string[] valid =
        [
            "antmaze_v2",
            "flags_numeric",
            "float64_arrays",
            "gzip_shuffle",
            "locomotion_v2",
            "multichunk_gzip",
            "no_terminals_v2",
            "optional_libver_latest",
            "v0_no_timeouts",
        ];
        Assert.Equal(valid, D4rlGolden.ValidNames.Order(StringComparer.Ordinal));
        Assert.Equal(Defects.Keys.Order(StringComparer.Ordinal), D4rlGolden.BadNames.Order(StringComparer.Ordinal));
        Assert.All(valid, name => Assert.True(File.Exists(D4rlGolden.FileOf(D4rlGolden.Valid(name)))));
        Assert.All(D4rlGolden.BadNames, name => Assert.True(File.Exists(D4rlGolden.FileOf(D4rlGolden.Bad(name)))));
        Assert.All(
            valid,
            name =>
                Assert.Superset(
                    (HashSet<string>)
                        [
                            .. from set in new[] { "qlearning", "qlearning_terminate_on_end" }
                            from field in new[]
                            {
                                "observations",
                                "actions",
                                "next_observations",
                                "rewards",
                                "terminals",
                            }
                            select $"{set}__{field}",
                            "rewards_iql_antmaze",
                        ],
                    D4rlGolden.Expected(name).Names.ToHashSet()
                )
        );
    }

    [Theory]
    [MemberData(nameof(ValidNames))]
    public void Transitions_are_those_of_D4RL_to_the_bit(string name)
    {
        var item = D4rlGolden.Valid(name);
        using var recorded = Open(item);
        var expected = D4rlGolden.Expected(name);
        foreach (var terminateOnEnd in new[] { false, true })
        {
            var (set, count) = terminateOnEnd
                ? ("qlearning_terminate_on_end", "n_transitions_terminate_on_end")
                : ("qlearning", "n_transitions");
            var data = TransitionDataset.FromSteps(recorded, Options(item) with { TerminateOnEnd = terminateOnEnd });

            Assert.Equal(item.GetProperty(count).GetInt32(), data.Count);
            AssertRows(expected[$"{set}__observations"], data.Count, k => data.Observation(k).ToArray());
            AssertRows(expected[$"{set}__actions"], data.Count, k => data.Action(k).ToArray());
            AssertRows(expected[$"{set}__next_observations"], data.Count, k => data.NextObservation(k).ToArray());
            AssertRows(expected[$"{set}__rewards"], data.Count, k => [data.Rewards[k]]);
            AssertRows(expected[$"{set}__terminals"], data.Count, k => [data.Terminated[k]]);
        }
    }

    [Theory]
    [MemberData(nameof(ValidNames))]
    public void Return_windows_and_tuned_rewards_are_those_of_QGPO(string name)
    {
        var item = D4rlGolden.Valid(name);
        using var recorded = Open(item);
        var expected = D4rlGolden.Expected(name);
        var data = TransitionDataset.FromSteps(recorded, Options(item));
        foreach (var window in item.GetProperty("return_range").EnumerateObject())
        {
            var steps = int.Parse(window.Name, CultureInfo.InvariantCulture);
            var range = RewardTunings.ReturnRange(data, steps);
            if (window.Value.ValueKind == JsonValueKind.String)
            {
                Assert.Null(range);
                var error = Assert.Throws<DataException>(() => RewardTunings.WindowRange(data, steps));
                Assert.Equal(recorded.Source, error.File);
                continue;
            }
            var (min, max) = (window.Value[0].GetDouble(), window.Value[1].GetDouble());
            Assert.Equal(min, range!.Value.Min, 1e-6 * Math.Abs(min) + 1e-12);
            Assert.Equal(max, range!.Value.Max, 1e-6 * Math.Abs(max) + 1e-12);
            if (min == max)
            {
                Assert.Throws<DataException>(() => RewardTunings.WindowRange(data, steps));
                continue;
            }
            AssertTuned(expected[$"rewards_iql_locomotion_max{steps}"], RewardTunings.WindowRange(data, steps));
        }
        AssertTuned(expected["rewards_iql_antmaze"], data.Tuned(RewardTunings.IqlAntMaze).Rewards.ToArray());
    }

    [Theory]
    [MemberData(nameof(ValidNames))]
    public void Episodes_are_those_of_D4RLs_sequence_dataset(string name)
    {
        var item = D4rlGolden.Valid(name);
        using var recorded = Open(item);
        var episodes = recorded.Episodes(item.GetProperty("env_max_episode_steps").GetInt32());

        Assert.Equal(
            item.GetProperty("sequence_lengths").EnumerateArray().Select(length => length.GetInt32()),
            episodes.Select(episode => episode.Length)
        );
        var returns = item.GetProperty("sequence_returns").EnumerateArray().Select(value => value.GetDouble()).ToList();
        Assert.Equal(returns.Count, episodes.Count);
        Assert.All(
            episodes.Zip(returns),
            pair => Assert.Equal(pair.Second, pair.First.Return, 1e-6 * (1 + Math.Abs(pair.Second)))
        );
    }

    [Theory]
    [MemberData(nameof(ValidNames))]
    public void Names_shapes_and_types_of_all_arrays_are_known(string name)
    {
        var item = D4rlGolden.Valid(name);
        using var source = ByteSource.Open(D4rlGolden.FileOf(item));
        var file = Hdf5File.Open(source);
        var keys = item.GetProperty("raw_keys").EnumerateObject().ToDictionary(key => key.Name, key => key.Value);

        Assert.Equal(keys.Keys.Order(StringComparer.Ordinal), file.Names);
        foreach (var (key, value) in keys)
        {
            var array = file.Array(key);
            // The manifest lists shapes as D4RL has squeezed them: (N, 1) stands there as (N).
            var shape = array.Shape is [var rows, 1] ? [rows] : array.Shape;
            Assert.Equal(value[0].EnumerateArray().Select(length => length.GetInt64()), shape);
            var type = value[1].GetString()!;
            Assert.Equal(
                type.StartsWith("|S", StringComparison.Ordinal) ? $"text of {type[2..]} bytes" : type,
                array.Type.Name
            );
        }
        if (file.Has("metadata/algorithm"))
        {
            Assert.Equal(("SAC", "relu"), (file.Text("metadata/algorithm"), file.Text("metadata/policy/nonlinearity")));
        }
    }

    [Theory]
    [MemberData(nameof(BadNames))]
    public void A_bad_file_is_refused_with_file_field_found_expected_and_remedy(string name)
    {
        var path = D4rlGolden.FileOf(D4rlGolden.Bad(name));
        var error = Assert.Throws<DataException>(() =>
        {
            using var recorded = RecordedSteps.Open(path, new() { Cache = false });
            TransitionDataset.FromSteps(recorded).Tuned(RewardTunings.IqlLocomotion);
        });

        var (field, found) = Defects[name];
        Assert.Equal(path, error.File);
        Assert.Contains(field, error.Field);
        Assert.Contains(found, error.Found);
        Assert.NotEmpty(error.Expected);
        Assert.EndsWith(".", error.Remedy);
        Assert.All(
            new[] { error.File, error.Field, error.Found, error.Expected, error.Remedy },
            part => Assert.Contains(part, error.Message)
        );
        Assert.Equal(1, error.ExitCode);
    }

    private static RecordedSteps Open(JsonElement item) =>
        RecordedSteps.Open(D4rlGolden.FileOf(item), new() { Cache = false });

    private static TransitionOptions Options(JsonElement item) =>
        new() { EpisodeSteps = item.GetProperty("env_max_episode_steps").GetInt32() };

    private static void AssertRows(NpyArray expected, int count, Func<int, float[]> row)
    {
        Assert.InRange(expected.Rows, 1, count);
        for (var k = 0; k < expected.Rows; k++)
        {
            var values = expected.Values.AsSpan(k * expected.RowLength, expected.RowLength).ToArray();
            Assert.Equal(Array.ConvertAll(values, value => (float)value), row(k));
        }
    }

    /// <summary>1e-6 relative: both divide float32 rewards, in another order of rounding.</summary>
    private static void AssertTuned(NpyArray expected, float[] tuned)
    {
        for (var k = 0; k < expected.Rows; k++)
        {
            Assert.Equal(expected.Values[k], tuned[k], 1e-6 * (1 + Math.Abs(expected.Values[k])));
        }
    }
}
