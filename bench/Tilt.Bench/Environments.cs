using System.Diagnostics;
using System.Runtime.InteropServices;
using Tilt.Environments;
using Tilt.Environments.Mazes;

namespace Tilt.Bench;

/// <summary>What the environments cost above MuJoCo itself, and whether the maze controller earns D4RL's reference scores.</summary>
/// <remarks>
/// <c>environments [TASK…]</c> prints the cost of a step; <c>environments scores [EPISODES]</c> the scores.
/// </remarks>
internal static class Environments
{
    private const int Rounds = 6;
    private const int Blocks = 10;
    private const double BlockSeconds = 0.02;

    public static int Run(string[] arguments)
    {
        Tilt.Environments.Simulation.Mujoco.Require();
        return arguments is ["scores", .. var rest]
            ? Scores(rest is [var episodes] ? int.Parse(episodes) : 1000)
            : Costs(arguments.Length > 0 ? arguments : [.. Tasks.Names]);
    }

    /// <remarks>
    /// An environment and bare MuJoCo walk the same trajectory in turns, block by block: the same controls, the same resets, the
    /// calls that the task's definition requires (mj_step, mj_forward in maze2d and after a reset). Thread processor time, so that
    /// other programs do not count; the median over blocks. Where a simulation's memory happens to lie can cost 10 % either way, so
    /// both are made anew several times, each first in turn.
    /// </remarks>
    private static int Costs(string[] names)
    {
        Console.WriteLine(
            $"{"task", -24} {"MuJoCo µs", 10} {"step µs", 10} {"above", 8} {"steps/s", 10} {"× 2 threads", 12}"
        );
        var worst = double.NegativeInfinity;
        foreach (var task in names.Select(Tasks.Find))
        {
            var (bare, whole) = Cost(task);
            worst = Math.Max(worst, whole / bare - 1);
            Console.WriteLine(
                $"{task.Name, -24} {bare * 1e6, 10:F2} {whole * 1e6, 10:F2} {whole / bare - 1, 8:P1} {1 / whole, 10:F0} "
                    + $"{Throughput(task, 2), 12:F0}"
            );
        }
        Console.WriteLine($"most above MuJoCo's own cost: {worst:P1}, allowed 10 %");
        return worst <= 0.1 ? 0 : 3;
    }

    private static (double Bare, double Whole) Cost(EnvironmentTask task)
    {
        var (bareCosts, wholeCosts) = (new List<double>(), new List<double>());
        var (starts, actions) = (new RandomStream(0, "starts"), new RandomStream(0, "actions"));
        for (var round = 0; round < Rounds; round++)
        {
            MujocoEnvironment environment;
            Bare bare;
            if (round % 2 == 0)
            {
                environment = (MujocoEnvironment)task.Create();
                bare = new(environment);
            }
            else
            {
                using var like = (MujocoEnvironment)task.Create();
                bare = new(like);
                environment = (MujocoEnvironment)task.Create();
            }
            using (environment)
            using (bare)
            {
                Measure(environment, bare, starts, actions, bareCosts, wholeCosts);
            }
        }
        return (Median(bareCosts), Median(wholeCosts));
    }

    private static void Measure(
        MujocoEnvironment environment,
        Bare bare,
        RandomStream starts,
        RandomStream actions,
        List<double> bareCosts,
        List<double> wholeCosts
    )
    {
        var task = environment.Task;
        var blocks = bareCosts.Count + Blocks;
        environment.Reset(starts);
        bare.Reset(new Start(environment));
        var steps = 16;
        while (bareCosts.Count < blocks)
        {
            var block = new double[steps * task.ActionSize];
            foreach (ref var component in block.AsSpan())
            {
                component = actions.Uniform(-1, 1);
            }
            var resets = new List<(int Step, Start Start)>(steps);
            var began = Seconds();
            for (var step = 0; step < steps; step++)
            {
                if (environment.Step(block.AsSpan(step * task.ActionSize, task.ActionSize)).Ended)
                {
                    environment.Reset(starts);
                    resets.Add((step, new(environment)));
                }
            }
            var whole = Seconds() - began;
            began = Seconds();
            for (var (step, next) = (0, 0); step < steps; step++)
            {
                bare.Step(block.AsSpan(step * task.ActionSize, task.ActionSize));
                if (next < resets.Count && resets[next].Step == step)
                {
                    bare.Reset(resets[next].Start);
                    next++;
                }
            }
            var alone = Seconds() - began;
            if (!bare.Position.SequenceEqual(environment.Position))
            {
                throw new InvalidOperationException($"{task.Name}: the two trajectories are not the same.");
            }
            if (whole < BlockSeconds)
            {
                steps *= 2;
                continue;
            }
            bareCosts.Add(alone / steps);
            wholeCosts.Add(whole / steps);
        }
    }

    /// <summary>Steps per second of wall time with random actions, 16 environments on the given threads.</summary>
    private static double Throughput(EnvironmentTask task, int threads)
    {
        const int count = 16;
        using var vector = new VectorEnvironment(task, count, threads);
        vector.Reset();
        var random = new RandomStream(0, "actions");
        var actions = new float[count * task.ActionSize];
        var (watch, steps) = (Stopwatch.StartNew(), 0);
        while (watch.Elapsed.TotalSeconds < 1)
        {
            for (var i = 0; i < actions.Length; i++)
            {
                actions[i] = (float)random.Uniform(-1, 1);
            }
            for (var repeat = 0; repeat < 4; repeat++)
            {
                vector.Step(actions);
                steps += count;
            }
        }
        return steps / watch.Elapsed.TotalSeconds;
    }

    /// <remarks>D4RL's constants are means of 100 episodes, so their own standard error is a tenth of the deviation.</remarks>
    private static int Scores(int episodes)
    {
        Console.WriteLine(
            $"{"task", -22} {"D4RL", 9} {"found", 9} {"deviation", 10} {"error", 7} {"apart, errors", 14}   {episodes} episodes"
        );
        var worst = 0.0;
        foreach (var name in new[] { "umaze", "medium", "large" })
        {
            foreach (var task in new[] { Tasks.Find($"maze2d-{name}"), Tasks.Find($"maze2d-{name}-dense") })
            {
                var returns = ReferenceScore.Returns(task, episodes, seed: 0);
                var mean = returns.Average();
                var deviation = Math.Sqrt(returns.Sum(value => (value - mean) * (value - mean)) / (episodes - 1));
                var error = deviation * Math.Sqrt(1.0 / episodes + 1.0 / 100);
                var apart = (mean - task.Score!.Expert) / error;
                worst = Math.Max(worst, Math.Abs(apart));
                Console.WriteLine(
                    $"{task.Name, -22} {task.Score.Expert, 9:F2} {mean, 9:F2} {deviation, 10:F2} {error, 7:F2} {apart, 14:F2}"
                );
            }
        }
        Console.WriteLine($"furthest apart: {worst:F2} standard errors, allowed 3");
        return worst <= 3 ? 0 : 3;
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        return values[values.Count / 2];
    }

    /// <summary>This thread's processor time.</summary>
    private static unsafe double Seconds()
    {
        const int threadClock = 3;
        var time = stackalloc long[2];
        _ = ClockGetTime(threadClock, time);
        return time[0] + 1e-9 * time[1];
    }

    [DllImport("libc", EntryPoint = "clock_gettime")]
    private static extern unsafe int ClockGetTime(int clock, long* time);

    /// <summary>What a reset left.</summary>
    private sealed class Start(MujocoEnvironment environment)
    {
        public double[] Position { get; } = environment.Position.ToArray();
        public double[] Velocity { get; } = environment.Velocity.ToArray();
        public double[] WarmStart { get; } = environment.Data.WarmStart.ToArray();
    }

    /// <summary>MuJoCo's calls for a task and nothing else.</summary>
    private sealed class Bare(MujocoEnvironment like) : IDisposable
    {
        private readonly Tilt.Environments.Simulation.MujocoData _data = new(like.Data.Model);
        private readonly bool _maze = like is Maze2d;
        private readonly double _range = like.Data.Model.ControlRange(0).High;
        private readonly int _substeps = (int)Math.Round(like.Task.ControlSeconds / like.Data.Model.TimeStep);

        public ReadOnlySpan<double> Position => _data.Position;

        public void Reset(Start start)
        {
            _data.Reset();
            start.Position.CopyTo(_data.Position);
            start.Velocity.CopyTo(_data.Velocity);
            _data.Forward();
            // Normalizing a normalized quaternion can move its last bit.
            start.Position.CopyTo(_data.Position);
            start.WarmStart.CopyTo(_data.WarmStart);
        }

        public void Step(ReadOnlySpan<double> action)
        {
            if (_maze)
            {
                foreach (ref var velocity in _data.Velocity)
                {
                    velocity = Math.Clamp(velocity, -5, 5);
                }
                _data.Forward();
            }
            var control = _data.Control;
            for (var i = 0; i < control.Length; i++)
            {
                control[i] = -_range + (action[i] + 1) * 0.5 * (2 * _range);
            }
            for (var i = 0; i < _substeps; i++)
            {
                _data.Step();
            }
        }

        public void Dispose() => _data.Dispose();
    }
}
