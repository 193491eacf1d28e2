using System.Text.Json;
using Tilt.Environments;

namespace Tilt.Tests.Environments;

public class TaskTests
{
    public static TheoryData<string> All => Physics.AllTasks;

    [Theory]
    [MemberData(nameof(All))]
    public void The_catalogue_tells_what_the_environments_are(string name)
    {
        using var environment = Physics.Started(name);
        var task = environment.Task;
        Assert.Same(Tasks.Find(name), task);
        Assert.Equal(task.ObservationSize, environment.Observation.Length);
        Assert.Equal(task.ActionSize, environment.Data.Control.Length);
        var before = environment.Time;
        environment.Step(new double[task.ActionSize]);
        Assert.Equal(task.ControlSeconds, environment.Time - before, 1e-12);
        Assert.NotEmpty(task.Summary);
    }

    [Theory]
    [InlineData("hopper-medium-replay-v2", "hopper")]
    [InlineData("walker2d-full-replay-v1", "walker2d")]
    [InlineData("ant-random-v0", "ant")]
    [InlineData("antmaze-umaze-v2", "antmaze-umaze")]
    [InlineData("antmaze-umaze-diverse-v0", "antmaze-umaze-diverse")]
    [InlineData("antmaze-large-play-v2", "antmaze-large-play")]
    [InlineData("maze2d-large-v1", "maze2d-large")]
    [InlineData("maze2d-umaze-dense-v1", "maze2d-umaze-dense")]
    [InlineData("maze2d-open-v0", "maze2d-open")]
    [InlineData("HALFCHEETAH", "halfcheetah")]
    [InlineData("hopper-v4", "Hopper-v4")]
    public void D4rls_data_sets_lead_to_their_tasks(string id, string task) => Assert.Equal(task, Tasks.Find(id).Name);

    [Theory]
    [InlineData("hoper")]
    [InlineData("hopper-v3")]
    [InlineData("hopper-medium-v3")]
    [InlineData("maze2d-umaze-v0")]
    [InlineData("antmaze-umaze-play-v2")]
    [InlineData("")]
    public void Unknown_names_are_refused_with_the_known_ones(string name)
    {
        Assert.False(Tasks.TryFind(name, out _));
        var error = Assert.Throws<EnvironmentException>(() => Tasks.Find(name));
        Assert.Equal(2, error.ExitCode);
        Assert.Contains($"'{name}'", error.Message);
        Assert.Contains("antmaze-medium-play", error.Message);
    }

    [Fact]
    public void Normalized_scores_put_the_random_return_at_0_and_the_experts_at_1()
    {
        foreach (var task in Tasks.All.Where(task => task.Score is not null))
        {
            Assert.Equal(0, task.NormalizedScore(task.Score!.Random));
            Assert.Equal(1, task.NormalizedScore(task.Score.Expert));
        }
        var hopper = Tasks.Find("hopper");
        var middle = (hopper.Score!.Random + hopper.Score.Expert) / 2;
        Assert.Equal(0.5, hopper.NormalizedScore(middle), 1e-12);
        Assert.Contains(
            "Hopper-v4",
            Assert.Throws<EnvironmentException>(() => Tasks.Find("Hopper-v4").NormalizedScore(1)).Message
        );
    }

    [Fact]
    public void Score_constants_are_D4rls()
    {
        var file = SharedFolder.Needed("reference", "d4rl_reference_scores.json");
        using var document = JsonDocument.Parse(File.ReadAllText(file));
        var compared = new HashSet<string>();
        foreach (var entry in document.RootElement.GetProperty("scores").EnumerateObject())
        {
            if (Tasks.TryFind(entry.Name, out var task))
            {
                Assert.Equal(entry.Value.GetProperty("min").GetDouble(), task.Score!.Random);
                Assert.Equal(entry.Value.GetProperty("max").GetDouble(), task.Score.Expert);
                compared.Add(task.Name);
            }
        }
        Assert.Equal(
            Tasks.All.Where(task => task.Score is not null).Select(task => task.Name).Order(),
            compared.Order()
        );
    }
}
