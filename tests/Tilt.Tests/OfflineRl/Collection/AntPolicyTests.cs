using Tilt.Inference;
using Tilt.OfflineRl.Collection;
using Tilt.Tests.Cli;
using Tilt.Tests.Environments;

namespace Tilt.Tests.OfflineRl.Collection;

public class AntPolicyTests
{
    [Fact]
    public void A_data_set_is_collected_by_a_policy_file_and_says_whose_it_is()
    {
        Physics.Needed();
        using var folder = new TemporaryFolder();
        var (policy, file) = (folder.File("walker.safetensors"), folder.File("made.hdf5"));
        File.WriteAllBytes(
            policy,
            Actor(29, 8).ToBytes(ElementType.F16, new Dictionary<string, string> { ["return"] = "12.5" })
        );
        string[] command = ["data", "make", "antmaze-umaze", "--size", "800", "--policy", policy, "--out"];
        var made = CommandLine.Run([.. command, file, "--threads", "1"]);
        Assert.Equal((0, true), (made.ExitCode, made.Output.Contains("800 steps, 2 episodes")));
        var manifest = File.ReadAllText(folder.File("made.json"));
        Assert.Contains("walker.safetensors", manifest);
        Assert.Contains(Tilt.Runs.ContentHash.OfFile(policy), manifest);
        Assert.Contains("12.5", manifest);
        Assert.Contains("relabelled_goal", manifest);
        Assert.Equal(0, CommandLine.Run([.. command, folder.File("again.hdf5"), "--threads", "2"]).ExitCode);
        Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(folder.File("again.hdf5")));
    }

    [Fact]
    public void Another_robots_policy_and_files_that_are_none_are_refused()
    {
        using var folder = new TemporaryFolder();
        var (hopper, text) = (folder.File("hopper.safetensors"), folder.File("text.safetensors"));
        File.WriteAllBytes(hopper, Actor(11, 3).ToBytes(ElementType.F32, new Dictionary<string, string>()));
        File.WriteAllText(text, "no actor");
        var error = Assert.Throws<TiltException>(() => AntPolicy.Load(hopper));
        Assert.Contains($"{hopper}: found an actor from 11 observations to 3 actions, expected 29", error.Message);
        Assert.Contains(text, Assert.Throws<TiltException>(() => AntPolicy.Load(text)).Message);
        Assert.Contains(
            "none.safetensors",
            Assert.Throws<TiltException>(() => AntPolicy.Load(folder.File("none.safetensors"))).Message
        );
    }

    [Fact]
    public void An_actor_of_ant_heading_sees_the_body_from_the_direction_of_travel()
    {
        using var folder = new TemporaryFolder();
        var file = folder.File("walker.safetensors");
        var actor = Actor(27, 8);
        File.WriteAllBytes(file, actor.ToBytes(ElementType.F32, new Dictionary<string, string>()));
        var policy = AntPolicy.Load(file);
        var random = new Tilt.Environments.RandomStream(5, "body");
        var body = new double[27];
        foreach (ref var number in body.AsSpan())
        {
            number = random.Uniform(-1, 1);
        }
        const double angle = 2.1;
        float[] told =
        [
            .. body.Select(number => (float)number),
            (float)(10 * Math.Cos(angle)),
            (float)(10 * Math.Sin(angle)),
        ];
        var (found, expected, noise) = (new float[8], new float[8], new float[8]);
        policy.Act(told, new Tilt.Environments.RandomStream(7, "noise"), found);

        var stream = new Tilt.Environments.RandomStream(7, "noise");
        foreach (ref var component in noise.AsSpan())
        {
            component = (float)stream.Normal();
        }
        Tilt.Environments.Mazes.AntHeading.Turn(body, angle, body);
        actor.Act([.. body.Select(number => (float)number)], noise, expected);
        for (var i = 0; i < found.Length; i++)
        {
            Assert.Equal(expected[i], found[i], 1e-4f);
        }
    }

    [Fact]
    public void What_ships_collects_without_a_policy_file()
    {
        Physics.Needed();
        using var folder = new TemporaryFolder();
        var file = folder.File("made.hdf5");
        string[] command = ["data", "make", "antmaze-umaze", "--size", "800", "--out", file];
        Assert.Equal(0, CommandLine.Run(command).ExitCode);
        Assert.Contains("ant-heading.safetensors", File.ReadAllText(folder.File("made.json")));
        Assert.Contains("is there already", CommandLine.Run(command).Output);
    }

    /// <summary>An actor of small random weights.</summary>
    private static GaussianActor Actor(int observations, int actions)
    {
        var random = new Tilt.Environments.RandomStream(0, "weights");
        LinearWeights Layer(int inputs, int outputs) =>
            new(
                [.. Enumerable.Range(0, inputs * outputs).Select(_ => (float)random.Uniform(-0.1, 0.1))],
                new float[outputs]
            );
        return new([Layer(observations, 16), Layer(16, 2 * actions)]);
    }
}
