using Tilt.Diffusion;
using Tilt.Runs;
using Tilt.Training;
using static TorchSharp.torch;

namespace Tilt.Tests.Training;

/// <summary>Weights are refused where they would mean something else, and the message says in what.</summary>
public class TrainingStateTests
{
    private static TrainingState State(RandomStreams streams, Tensor weight, string experiment, string? diffusion)
    {
        var state = new TrainingState(streams).AddModel("weight", weight);
        state.Metadata["experiment"] = experiment;
        if (diffusion is not null)
        {
            state.Metadata[TrainingState.DiffusionKey] = diffusion;
        }
        return state;
    }

    private static string Record(Parametrization parametrization, double lastRate = 20) =>
        DiffusionRecord.Of(new LinearSchedule(0.1, lastRate), parametrization, 1e-3, 2, 0).ToJson();

    public static TheoryData<string, string?, string> Others =>
        new()
        {
            {
                "plane",
                Record(Parametrization.Score),
                "the parametrization of the stored model is Noise, here it is Score"
            },
            { "plane", Record(Parametrization.Noise, 19), "the log alpha at t = " },
            { "other", Record(Parametrization.Noise), "the model was saved with experiment 'plane'; expected 'other'" },
        };

    [Theory]
    [MemberData(nameof(Others))]
    public void A_model_of_another_meaning_is_refused_in_a_sentence(
        string experiment,
        string? diffusion,
        string expected
    )
    {
        using var folder = new TemporaryFolder();
        using var streams = new RandomStreams(0);
        using var weight = ones(3);
        var saved = State(streams, weight, "plane", Record(Parametrization.Noise))
            .Save(new Checkpoints(folder.Path), new CheckpointState { Step = 1 });
        using var other = zeros(3);

        var refused = Assert.Throws<TiltException>(() => State(streams, other, experiment, diffusion).LoadModel(saved));

        Assert.Contains(expected, refused.Message);
        Assert.InRange(refused.Message.Length, 1, 500);
        Assert.Equal(0, other.sum().item<float>());
    }

    [Fact]
    public void A_file_that_says_nothing_of_its_meaning_is_refused_and_the_right_one_is_read()
    {
        using var folder = new TemporaryFolder();
        using var streams = new RandomStreams(0);
        using var weight = ones(3);
        var bare = State(streams, weight, "plane", null)
            .Save(new Checkpoints(folder.File("bare")), new CheckpointState { Step = 1 });
        var whole = State(streams, weight, "plane", Record(Parametrization.Noise))
            .Save(new Checkpoints(folder.File("whole")), new CheckpointState { Step = 1 });
        using var other = zeros(3);
        var state = State(streams, other, "plane", Record(Parametrization.Noise));

        Assert.Contains(
            "says nothing of its diffusion",
            Assert.Throws<TiltException>(() => state.LoadModel(bare)).Message
        );
        state.LoadModel(whole);

        Assert.Equal(3, other.sum().item<float>());
    }
}
