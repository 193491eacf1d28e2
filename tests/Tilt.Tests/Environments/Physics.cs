using Tilt.Environments;
using Tilt.Environments.Simulation;

namespace Tilt.Tests.Environments;

/// <summary>What the tests of simulated tasks share.</summary>
internal static class Physics
{
    /// <summary>Skips the test, with the reason, where the physics library cannot be had.</summary>
    public static void Needed() =>
        Assert.SkipUnless(Mujoco.Availability.IsAvailable, Mujoco.Availability.Problem ?? "");

    /// <summary>An environment of a task, reset.</summary>
    public static MujocoEnvironment Started(string task, long seed = 0)
    {
        Needed();
        var environment = (MujocoEnvironment)Tasks.Find(task).Create();
        environment.Reset(new RandomStream(seed, "start"));
        return environment;
    }

    /// <summary>Fills an action with uniform numbers.</summary>
    public static double[] Action(EnvironmentTask task, RandomStream random, double width = 1)
    {
        var action = new double[task.ActionSize];
        for (var i = 0; i < action.Length; i++)
        {
            action[i] = random.Uniform(-width, width);
        }
        return action;
    }

    /// <summary>Names of all tasks, as theory data.</summary>
    public static TheoryData<string> AllTasks => [.. Tasks.Names];
}
