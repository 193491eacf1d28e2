using Tilt.Environments;
using Tilt.OfflineRl.Data;

namespace Tilt.Tests.Environments;

/// <summary>One step from each state that others recorded: mujoco-py's old physics, and Gymnasium's.</summary>
/// <remarks>
/// The state is set from the observation (x, which nothing depends on, is 0), so steps with a clipped velocity are left out, and the
/// predicted observation is compared with the recorded one: the largest error of a step, and its median over steps. Recordings are
/// float32, whose rounding alone makes a median of 2·10⁻⁷ (hopper) to 6·10⁻⁷ (walker2d).
/// </remarks>
public class RecordedStepTests
{
    [Theory]
    [InlineData("hopper-v2_cs285-expert", "hopper", "Hopper-v4", 11, 1e-6, 1e-3)]
    [InlineData("hopper-v2_opolo-expert", "hopper", "Hopper-v4", 11, 1e-6, 1e-3)]
    [InlineData("halfcheetah-v2_cs285-expert", "halfcheetah", "HalfCheetah-v4", 17, 2e-6, 2e-2)]
    [InlineData("halfcheetah-v2_opolo-expert", "halfcheetah", "HalfCheetah-v4", 17, 2e-6, 2e-2)]
    [InlineData("walker2d-v2_cs285-expert", "walker2d", "Walker2d-v4", 17, 2e-6, 2e-2)]
    [InlineData("walker2d-v2_opolo-expert", "walker2d", "Walker2d-v4", 17, 2e-6, 2e-2)]
    [InlineData("ant-v2_cs285-expert", "ant", "Ant-v4", 27, 1e-6, 5e-4)]
    [InlineData("hopper-v4_cs285-expert", "Hopper-v4", "hopper", 11, 1e-6, 1e-3)]
    [InlineData("halfcheetah-v4_cs285-expert", "HalfCheetah-v4", "halfcheetah", 17, 2e-6, 2e-2)]
    [InlineData("walker2d-v4_cs285-expert", "Walker2d-v4", "walker2d", 17, 2e-6, 2e-2)]
    [InlineData("ant-v4_cs285-expert", "Ant-v4", "ant", 27, 1e-6, 5e-4)]
    public void The_right_inertias_predict_the_next_observation_and_the_others_do_not(
        string file,
        string right,
        string wrong,
        int compared,
        double within,
        double beyond
    )
    {
        Physics.Needed();
        var path = SharedFolder.Needed("data", "trajectories", file + ".hdf5");
        using var steps = RecordedSteps.Open(path, new() { Cache = false });
        var good = MedianError(steps, right, compared);
        var bad = MedianError(steps, wrong, compared);
        Assert.True(
            good < within && bad > beyond,
            $"{file}: {right} {good:G3} (< {within}), {wrong} {bad:G3} (> {beyond})"
        );
    }

    private static double MedianError(RecordedSteps steps, string task, int compared)
    {
        using var environment = Physics.Started(task);
        var (nq, nv) = (environment.Position.Length, environment.Velocity.Length);
        var hidden = nq + nv - compared;
        var (position, velocity, errors) = (new double[nq], new double[nv], new List<double>());
        for (var i = 0; i + 1 < steps.Count && errors.Count < 500; i++)
        {
            var now = steps.Observation(i);
            if (
                steps.Terminated(i)
                || steps.Truncated(i)
                || Clipped(now[(nq - hidden)..compared])
                || Clipped(steps.Observation(i + 1)[(nq - hidden)..compared])
            )
            {
                continue;
            }
            for (var j = hidden; j < nq; j++)
            {
                position[j] = now[j - hidden];
            }
            for (var j = 0; j < nv; j++)
            {
                velocity[j] = now[nq - hidden + j];
            }
            environment.SetState(position, velocity);
            environment.Step(steps.Action(i));
            var next = steps.Observation(i + 1);
            var error = 0.0;
            for (var j = 0; j < compared; j++)
            {
                error = Math.Max(error, Math.Abs(next[j] - environment.Observation[j]));
            }
            errors.Add(error);
        }
        errors.Sort();
        Assert.True(errors.Count >= 40);
        return errors[errors.Count / 2];
    }

    private static bool Clipped(ReadOnlySpan<float> velocities)
    {
        foreach (var velocity in velocities)
        {
            if (Math.Abs(velocity) == 10)
            {
                return true;
            }
        }
        return false;
    }
}
