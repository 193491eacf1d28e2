using Tilt.OfflineRl.Data;

namespace Tilt.Tests.OfflineRl.Data;

public class D4rlTaskTests
{
    [Theory]
    [InlineData("hopper-medium-v2", -20.272305, 3234.3)]
    [InlineData("halfcheetah-random-v0", -280.178953, 12135.0)]
    [InlineData("walker2d-medium-expert", 1.629008, 4592.3)]
    [InlineData("ant", -325.6, 3879.7)]
    [InlineData("antmaze-large-play-v2", 0, 1)]
    [InlineData("maze2d-umaze-v1", 23.85, 161.86)]
    [InlineData("maze2d-large-dense-v1", 30.569041, 303.4857382709002)]
    public void A_random_policy_scores_0_and_an_expert_100(string name, double random, double expert)
    {
        var task = D4rlTask.Named(name);
        Assert.Equal(0, task.Score(random), 1e-12);
        Assert.Equal(100, task.Score(expert), 1e-12);
        Assert.Equal((random + expert) / 2, task.ReturnOf(50), 1e-9);
    }

    [Fact]
    public void Versions_of_a_robots_data_share_sizes_and_returns()
    {
        foreach (var robot in new[] { "hopper", "halfcheetah", "walker2d", "ant" })
        {
            var versions = D4rlTask.Names.Where(name => name.StartsWith(robot + "-")).Select(D4rlTask.Named).ToList();
            Assert.Equal(17, versions.Count);
            Assert.Single(
                versions
                    .Select(task => (task.MinReturn, task.MaxReturn, task.ObservationSize, task.ActionSize))
                    .Distinct()
            );
        }
    }

    [Fact]
    public void An_unknown_name_gets_a_suggestion()
    {
        var error = Assert.Throws<TiltException>(() => D4rlTask.Named("hoper-medium-v2"));
        Assert.Contains("Did you mean 'hopper-medium-v2'?", error.Message);
        // umaze and large differ, so the family has no numbers of its own.
        Assert.Null(D4rlTask.Find("maze2d"));
    }

    [Fact]
    public void Files_are_found_by_option_by_path_by_own_name_and_in_D4RLs_folder()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.File("own"));
        Directory.CreateDirectory(folder.File("d4rl"));
        File.WriteAllText(folder.File("own/hopper-medium-replay.hdf5"), "");
        File.WriteAllText(folder.File("d4rl/hopper_medium-v2.hdf5"), "");
        var before = Environment.GetEnvironmentVariable("D4RL_DATASET_DIR");
        Environment.SetEnvironmentVariable("D4RL_DATASET_DIR", folder.File("d4rl"));
        try
        {
            var own = folder.File("own");
            Assert.Equal("given.hdf5", DataFiles.Find("hopper-medium-v2", "given.hdf5", own));
            Assert.Equal(folder.File("d4rl/hopper_medium-v2.hdf5"), DataFiles.Find("hopper-medium-v2", null, own));
            Assert.Equal(
                folder.File("own/hopper-medium-replay.hdf5"),
                DataFiles.Find("hopper-medium-replay", null, own)
            );
            Assert.Equal(
                folder.File("d4rl/hopper_medium-v2.hdf5"),
                DataFiles.Find(folder.File("d4rl/hopper_medium-v2.hdf5"), null, own)
            );
            // An own data set's name never stands for D4RL's file.
            Assert.Throws<DataException>(() => DataFiles.Find("hopper-medium", null, own));
            var error = Assert.Throws<DataException>(() => DataFiles.Find("walker2d-expert-v2", null, own));
            Assert.Contains("/gym_mujoco_v2/walker2d_expert-v2.hdf5", error.Remedy);
            Assert.Contains("--data FILE", error.Remedy);
            Assert.Contains(folder.File("d4rl"), error.Message);
            var typo = Assert.Throws<DataException>(() => DataFiles.Find("walker2d-expart-v2", null, own));
            Assert.Contains("Did you mean 'walker2d-expert-v2'?", typo.Remedy);
        }
        finally
        {
            Environment.SetEnvironmentVariable("D4RL_DATASET_DIR", before);
        }
    }
}
