using System.Text;
using System.Text.Json;
using Tilt.Environments;
using Tilt.Environments.Mazes;
using Tilt.Environments.Simulation;
using Tilt.Tests.Golden;

namespace Tilt.Tests.Environments;

/// <summary>One file of recorded trajectories, and the task that it was recorded from.</summary>
internal sealed class GoldenTrajectories
{
    /// <summary>Files and their tasks, relative to the golden folder.</summary>
    public static IReadOnlyDictionary<string, string> Files { get; } =
        new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["d4rl_v2/ant"] = "ant",
            ["d4rl_v2/antmaze_large"] = "antmaze-large-diverse",
            ["d4rl_v2/antmaze_umaze"] = "antmaze-umaze",
            ["d4rl_v2/halfcheetah"] = "halfcheetah",
            ["d4rl_v2/hopper"] = "hopper",
            ["d4rl_v2/maze2d_large_dense"] = "maze2d-large-dense",
            ["d4rl_v2/maze2d_large_sparse"] = "maze2d-large",
            ["d4rl_v2/maze2d_medium_dense"] = "maze2d-medium-dense",
            ["d4rl_v2/maze2d_medium_sparse"] = "maze2d-medium",
            ["d4rl_v2/maze2d_umaze_dense"] = "maze2d-umaze-dense",
            ["d4rl_v2/maze2d_umaze_sparse"] = "maze2d-umaze",
            ["d4rl_v2/walker2d"] = "walker2d",
            ["gymnasium_v4/ant"] = "Ant-v4",
            ["gymnasium_v4/halfcheetah"] = "HalfCheetah-v4",
            ["gymnasium_v4/hopper"] = "Hopper-v4",
            ["gymnasium_v4/walker2d"] = "Walker2d-v4",
        };

    private readonly string _file;
    private readonly string _task;
    private readonly Npz _arrays;

    public GoldenTrajectories(string file)
    {
        (_file, _task) = (file, Files[file]);
        _arrays = GoldenSet.Arrays($"mujoco/{file}.npz");
    }

    /// <summary>0, 1, 2, … of the recorded trajectories.</summary>
    public IEnumerable<int> Trajectories => Enumerable.Range(0, 100).TakeWhile(k => _arrays.Has($"t{k}_action"));

    /// <summary>Recorded steps of a trajectory.</summary>
    public int Length(int k) => _arrays[$"t{k}_action"].Rows;

    /// <summary>How far an open loop can be followed within 10⁻⁶ on any processor: chaos multiplies the last bits.</summary>
    public int FollowedSteps =>
        _task.Contains("ant", StringComparison.OrdinalIgnoreCase)
        || _task.Contains("cheetah", StringComparison.OrdinalIgnoreCase)
            ? 50
            : 200;

    /// <summary>The environment as the recorder had it.</summary>
    public MujocoEnvironment Environment()
    {
        var environment = (MujocoEnvironment)Tasks.Find(_task).Create();
        using var meta = JsonDocument.Parse(
            Encoding.UTF8.GetString(_arrays["meta"].Values.Select(value => (byte)value).ToArray())
        );
        if (environment is AntMaze maze)
        {
            var goal = meta.RootElement.GetProperty("target_goal");
            maze.Goal = (goal[0].GetDouble(), goal[1].GetDouble());
        }
        if (environment is Maze2d ball)
        {
            var target = meta.RootElement.GetProperty("target");
            Assert.Equal((target[0].GetDouble(), target[1].GetDouble()), ball.Target);
        }
        return environment;
    }

    /// <summary>Follows a trajectory's first steps with the recorded actions and compares everything recorded.</summary>
    /// <param name="k">Which.</param>
    /// <param name="steps">How many.</param>
    /// <param name="tolerance">Of states and observations; 0 asks for the same bits.</param>
    /// <param name="rewardTolerance">Of rewards.</param>
    public void Follow(int k, int steps, double tolerance, double rewardTolerance)
    {
        using var environment = Environment();
        environment.SetState(Row($"t{k}_init_qpos"), Row($"t{k}_init_qvel"));
        Compare($"t{k}_init_obs", 0, environment.Observation, tolerance);
        for (var step = 0; step < Math.Min(steps, Length(k)); step++)
        {
            var result = environment.Step(Row($"t{k}_action", step));
            Compare($"t{k}_ctrl", step, environment.Data.Control, tolerance);
            Compare($"t{k}_qpos", step, environment.Position, tolerance);
            Compare($"t{k}_qvel", step, environment.Velocity, tolerance);
            Compare($"t{k}_obs", step, environment.Observation, tolerance);
            Compare($"t{k}_reward", step, [result.Reward], rewardTolerance);
            Compare($"t{k}_done", step, [result.Terminated ? 1 : 0], 0);
            Compare($"t{k}_ncon", step, [environment.Data.ContactCount], 0);
            if (_arrays.Has($"t{k}_torso_xpos"))
            {
                Compare($"t{k}_torso_xpos", step, environment.Data.BodyPositions.Slice(3, 3), tolerance);
            }
            if (_arrays.Has($"t{k}_nwall"))
            {
                Compare($"t{k}_nwall", step, [WallContacts(environment)], 0);
            }
        }
    }

    /// <summary>Makes every recorded single step and compares everything recorded.</summary>
    public void Single(double tolerance, double rewardTolerance)
    {
        using var environment = Environment();
        for (var row = 0; row < _arrays["s_qpos"].Rows; row++)
        {
            environment.SetState(Row("s_qpos", row), Row("s_qvel", row));
            Compare("s_obs", row, environment.Observation, tolerance);
            var result = environment.Step(Row("s_action", row));
            Compare("s_next_qpos", row, environment.Position, tolerance);
            Compare("s_next_qvel", row, environment.Velocity, tolerance);
            Compare("s_next_obs", row, environment.Observation, tolerance);
            Compare("s_reward", row, [result.Reward], rewardTolerance);
            Compare("s_done", row, [result.Terminated ? 1 : 0], 0);
            if (_arrays.Has("s_cfrc_ext"))
            {
                environment.Data.ComputeContactForces();
                Compare("s_cfrc_ext", row, environment.Data.ContactForces, tolerance * 1e3);
            }
        }
    }

    private static int WallContacts(MujocoEnvironment environment)
    {
        var data = environment.Data;
        var (walls, map) = (new HashSet<int>(), ((AntMaze)environment).Map);
        foreach (var (row, column) in map.Walls)
        {
            walls.Add(data.Model.IdOf(MujocoModel.Geom, $"block_{row}_{column}"));
        }
        return Enumerable
            .Range(0, data.ContactCount)
            .Count(i => walls.Contains(data.Contact(i).First) || walls.Contains(data.Contact(i).Second));
    }

    private double[] Row(string name, int row = 0)
    {
        var array = _arrays[name];
        var length =
            array.Shape.Length == 1 && name.Contains("_init_", StringComparison.Ordinal)
                ? array.Shape[0]
                : array.RowLength;
        return array.Values[(row * length)..((row + 1) * length)];
    }

    private void Compare(string name, int row, ReadOnlySpan<double> found, double tolerance)
    {
        var expected = Row(name, row);
        Assert.Equal(expected.Length, found.Length);
        for (var i = 0; i < expected.Length; i++)
        {
            var error = Math.Abs(found[i] - expected[i]);
            if (!(error <= tolerance))
            {
                Assert.Fail(
                    $"{_file}, {name}[{row}, {i}]: {found[i]:R}, recorded {expected[i]:R}, off by {error:G3}, allowed {tolerance:G3}."
                );
            }
        }
    }
}
