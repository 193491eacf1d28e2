using System.Text.Json.Serialization;
using CsCheck;
using Tilt.Runs;

namespace Tilt.Tests.Runs;

public enum Shade
{
    Light,
    VeryDark,
}

public sealed record InnerOptions
{
    public int Width { get; init; } = 64;

    public string? Note { get; init; }
}

public sealed record OuterOptions : ICheckedOptions
{
    [MayChangeOnResume]
    public long Steps { get; init; } = 1000;

    public double Beta { get; init; } = 3;

    public float Rate { get; init; } = 1e-4f;

    public bool Average { get; init; } = true;

    public Shade Shade { get; init; } = Shade.VeryDark;

    public int? Limit { get; init; }

    public string Task { get; init; } = "8gaussians";

    public IReadOnlyList<double> Betas { get; init; } = [0, 3, 10, 20];

    public InnerOptions Network { get; init; } = new();

    public void Check()
    {
        if (Beta < 0)
        {
            throw TiltException.Usage($"option 'beta': found {Beta}; expected 0 or more.");
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(OuterOptions))]
public sealed partial class OuterJson : JsonSerializerContext;

public class OptionRecordsTests
{
    private static readonly OuterOptions Defaults = new();

    [Fact]
    public void Options_survive_JSON_with_every_default_written_out()
    {
        var json = OptionRecords.ToJson(Defaults, OuterJson.Default.OuterOptions);

        foreach (
            var name in new[] { "steps", "beta", "rate", "average", "shade", "limit", "task", "betas", "width", "note" }
        )
        {
            Assert.Contains($"\"{name}\"", json);
        }
        Assert.Equal(json, Json(OptionRecords.Parse(json, "options.json", OuterJson.Default.OuterOptions)));
        Gen.Select(Gen.Long, Gen.Double[0, 1e300], Gen.Float.Where(float.IsFinite), Gen.Bool, Gen.Int.Nullable())
            .Sample(
                (steps, beta, rate, average, limit) =>
                {
                    var options = Defaults with
                    {
                        Steps = steps,
                        Beta = beta,
                        Rate = rate,
                        Average = average,
                        Limit = limit,
                    };
                    var again = OptionRecords.Parse(Json(options), "options.json", OuterJson.Default.OuterOptions);
                    return again with { Betas = options.Betas } == options;
                },
                iter: 200
            );
    }

    [Fact]
    public void What_a_file_does_not_name_has_the_record_s_default_not_the_type_s()
    {
        var read = OptionRecords.Parse(
            """{"steps": 5, "network": {"note": "β"}}""",
            "options.json",
            OuterJson.Default.OuterOptions
        );

        Assert.Equal(
            Json(
                Defaults with
                {
                    Steps = 5,
                    Network = new InnerOptions { Note = "β" },
                }
            ),
            Json(read)
        );
        Assert.Contains("\"β\"", Json(read));
    }

    [Fact]
    public void Every_kind_of_option_can_be_set_by_name()
    {
        var options = Set(
            "steps=1e6",
            "BETA=0.5",
            "rate=3e-4",
            "average=off",
            "shade=very-dark",
            "limit=12",
            "task=rings",
            "betas=1, 2.5",
            "network.width=128",
            "network.note=a = b",
            "beta=10"
        );

        Assert.Equal(1_000_000, options.Steps);
        Assert.Equal(10, options.Beta);
        Assert.Equal(3e-4f, options.Rate);
        Assert.False(options.Average);
        Assert.Equal(Shade.VeryDark, options.Shade);
        Assert.Equal(12, options.Limit);
        Assert.Equal("rings", options.Task);
        Assert.Equal([1, 2.5], options.Betas);
        Assert.Equal(128, options.Network.Width);
        Assert.Equal("a = b", options.Network.Note);
        Assert.Null(OptionRecords.Apply(options, ["limit=none"], OuterJson.Default.OuterOptions).Limit);
        Assert.Equal(1000, Defaults.Steps);
    }

    [Theory]
    [InlineData("stepps=5", "unknown option 'stepps'. Did you mean 'steps'? Known: steps, beta,")]
    [InlineData("network.widht=5", "Did you mean 'network.width'?")]
    [InlineData("steps=many", "option 'steps': found 'many'; expected a whole number")]
    [InlineData("steps=1.5", "option 'steps': found '1.5'; expected a whole number")]
    [InlineData("steps=1e30", "option 'steps': found '1e30'")]
    [InlineData("limit=3000000000", "option 'limit': found '3000000000'; expected at most 2147483647")]
    [InlineData("beta=NaN", "option 'beta': found 'NaN'; expected a number")]
    [InlineData("beta=-1", "option 'beta': found -1; expected 0 or more")]
    [InlineData("average=maybe", "option 'average': found 'maybe'; expected true or false")]
    [InlineData("shade=dark", "unknown value of option 'shade' 'dark'")]
    [InlineData("betas=1,x", "option 'betas': found 'x'; expected a number")]
    [InlineData("network=5", "unknown option 'network'")]
    [InlineData("steps", "expected name=value, such as steps=…")]
    [InlineData("=5", "expected name=value")]
    public void A_wrong_assignment_names_the_option_what_was_found_and_what_is_expected(string assignment, string said)
    {
        var error = Assert.Throws<TiltException>(() => Set(assignment));

        Assert.Equal(2, error.ExitCode);
        Assert.Contains(said, error.Message);
    }

    [Theory]
    [InlineData("""{"stpes": 5}""", "unknown option 'stpes'. Did you mean 'steps'?")]
    [InlineData("""{"network": {"Width": 5}}""", "unknown option 'network.Width'. Did you mean 'network.width'?")]
    [InlineData("""{"steps": "five"}""", "option 'steps': found \"five\"; expected a whole number")]
    [InlineData("""{"network": {"width": 1.5}}""", "option 'network.width': found 1.5; expected a whole number")]
    [InlineData("""{"shade": "Drak"}""", "option 'shade': found \"Drak\"; expected one of Light, VeryDark")]
    [InlineData("""{"beta": -1}""", "option 'beta': found -1; expected 0 or more")]
    [InlineData("""{"betas": null}""", "option 'betas': found null; expected a list or an object")]
    [InlineData("""{"network": {"width": null}}""", "option 'network.width': found null; expected a whole number")]
    [InlineData("""{"steps": 5, "steps": 6}""", "not valid JSON")]
    [InlineData("""{"steps": 5""", "not valid JSON")]
    [InlineData("""[5]""", "found Array; expected a JSON object of options")]
    [InlineData("null", "found null; expected a JSON object of options")]
    public void A_wrong_file_is_refused_by_its_name(string json, string said)
    {
        var error = Assert.Throws<TiltException>(() =>
            OptionRecords.Parse(json, "runs/x/options.json", OuterJson.Default.OuterOptions)
        );

        Assert.StartsWith("runs/x/options.json: ", error.Message);
        Assert.Contains(said, error.Message);
    }

    [Fact]
    public void Differences_say_which_options_may_change()
    {
        var changed = Defaults with
        {
            Steps = 5,
            Network = new InnerOptions { Width = 5 },
        };

        Assert.Equal(
            [("steps", "1000", "5", true), ("network.width", "64", "5", false)],
            OptionRecords.Differences(Defaults, changed, OuterJson.Default.OuterOptions)
        );
    }

    private static OuterOptions Set(params string[] assignments) =>
        OptionRecords.Apply(Defaults, assignments, OuterJson.Default.OuterOptions);

    private static string Json(OuterOptions options) => OptionRecords.ToJson(options, OuterJson.Default.OuterOptions);
}
