namespace Tilt.Environments.Mazes;

/// <summary>How D4RL measured maze2d's expert scores.</summary>
internal static class ReferenceScore
{
    /// <summary>Returns of episodes in a row, under one controller that is never told of the resets.</summary>
    public static double[] Returns(EnvironmentTask task, int episodes, long seed)
    {
        using var environment = (Maze2d)task.Create();
        var controller = new WaypointController(environment.Map);
        var (starts, ways) = (new RandomStream(seed, "starts"), new RandomStream(seed, "ways"));
        var (returns, action) = (new double[episodes], new double[2]);
        for (var episode = 0; episode < episodes; episode++)
        {
            environment.Reset(starts);
            for (var ended = false; !ended; )
            {
                controller.Act(environment.Observation, environment.Target, ways, action);
                var result = environment.Step(action);
                returns[episode] += result.Reward;
                ended = result.Ended;
            }
        }
        return returns;
    }
}
