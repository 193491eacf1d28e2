using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Tilt.Cli.Reports;
using Tilt.Environments;
using Tilt.Environments.Mazes;
using Tilt.Environments.Rendering;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt render</c>: pictures of a task, an animation that browsers play, and a strip of a few frames.</summary>
internal static class Render
{
    private const int StripFrames = 6;
    private const double WantedSecondsPerFrame = 0.04;

    /// <summary>Chooses an action for an environment as it stands.</summary>
    /// <param name="environment">Where to act.</param>
    /// <param name="random">The driver's own stream.</param>
    /// <param name="action">Receives the action, [A].</param>
    internal delegate void Driver(IEnvironment environment, RandomStream random, Span<double> action);

    /// <summary>What can act, by name; makes a driver for a task.</summary>
    internal static IReadOnlyDictionary<string, Func<EnvironmentTask, Driver>> Drivers { get; } =
        new SortedDictionary<string, Func<EnvironmentTask, Driver>>(StringComparer.Ordinal)
        {
            ["random"] = _ => Uniform,
            ["waypoint"] = Waypoints,
            ["zero"] = _ => (_, _, action) => action.Clear(),
        };

    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "render",
            "Draws a task: frames, an animation that browsers play, and a strip.",
            "./tilt render hopper",
            "./tilt render maze2d-large --driver waypoint --frames 200"
        );
        var task = new Argument<EnvironmentTask>("TASK")
        {
            Description = "what to draw ('list tasks' names them)",
            CustomParser = Task,
        };
        var driver = CommonOptions.Name("--driver", "driver", "who acts", [.. Drivers.Keys], "random");
        var frames = Number("--frames", "pictures to take", 120, 1, 100_000);
        var every = new Option<int?>("--every")
        {
            HelpName = "N",
            Description = "control steps per picture; by default 25 pictures a simulated second",
            CustomParser = result => Whole(result, 1, 1000),
        };
        var width = Number("--width", "pixels across", 480, 16, 4096);
        var height = Number("--height", "pixels down", 360, 16, 4096);
        var plain = new Option<bool>("--plain")
        {
            Description = "neither shadows nor smooth edges, several times faster",
        };
        var seed = CommonOptions.Seed();
        var folder = CommonOptions.Out("where to write [runs/render/TASK]");
        verb.Add(task);
        foreach (var option in new Option[] { driver, frames, every, width, height, plain, seed, folder })
        {
            verb.Add(option);
        }
        verb.SetAction(parsed =>
        {
            var chosen = parsed.GetRequiredValue(task);
            using var environment = chosen.Create();
            using var renderer = new Renderer(
                environment,
                parsed.GetValue(width),
                parsed.GetValue(height),
                fine: !parsed.GetValue(plain)
            );
            return Run(
                terminal,
                environment,
                renderer,
                Drivers[parsed.GetValue(driver)!](chosen),
                parsed.GetValue(frames),
                parsed.GetValue(every) ?? Math.Max(1, (int)Math.Round(WantedSecondsPerFrame / chosen.ControlSeconds)),
                parsed.GetValue(seed),
                parsed.GetValue(folder) ?? Path.Combine("runs", "render", chosen.Name)
            );
        });
        return verb;
    }

    /// <summary>Acts and draws; episodes follow each other until there are enough pictures.</summary>
    private static int Run(
        Terminal terminal,
        IEnvironment environment,
        Renderer renderer,
        Driver driver,
        int frames,
        int every,
        long seed,
        string folder
    )
    {
        var pictures = Directory.CreateDirectory(Path.Combine(folder, "frames")).FullName;
        foreach (var old in Directory.EnumerateFiles(pictures, "*.png"))
        {
            File.Delete(old);
        }
        var task = environment.Task;
        var (starts, noise) = (new RandomStream(seed, "environments/0"), new RandomStream(seed, "driver"));
        var action = new double[task.ActionSize];
        var rgb = new byte[3 * renderer.Width * renderer.Height];
        var stripped = FrameStrip.Spread(frames, StripFrames).ToHashSet();
        var strip = new List<byte[]>();
        terminal.Remark($"drawing {frames} pictures of {task.Name} with {renderer.Backend}");

        using var file = File.Create(Path.Combine(folder, "animation.png"));
        using (var animation = new AnimatedPng(file, renderer.Width, renderer.Height, every * task.ControlSeconds))
        {
            environment.Reset(starts);
            for (var frame = 0; frame < frames; frame++)
            {
                renderer.Render(rgb);
                animation.Add(rgb);
                using (var single = File.Create(Path.Combine(pictures, $"{frame:D5}.png")))
                {
                    AnimatedPng.WriteSingle(single, rgb, renderer.Width, renderer.Height);
                }
                if (stripped.Contains(frame))
                {
                    strip.Add([.. rgb]);
                }
                for (var step = 0; step < every; step++)
                {
                    driver(environment, noise, action);
                    if (environment.Step(action).Ended)
                    {
                        environment.Reset(starts);
                        break;
                    }
                }
            }
        }
        var (joined, width, height) = FrameStrip.Join(strip, renderer.Width, renderer.Height);
        using (var line = File.Create(Path.Combine(folder, "strip.png")))
        {
            AnimatedPng.WriteSingle(line, joined, width, height);
        }
        terminal.Line($"{Path.Combine(folder, "animation.png")}  {frames} pictures, open it in a browser");
        terminal.Line($"{Path.Combine(folder, "strip.png")}  {strip.Count} of them side by side");
        terminal.Line($"{Path.Combine(folder, "frames")}");
        return 0;
    }

    private static void Uniform(IEnvironment environment, RandomStream random, Span<double> action)
    {
        foreach (ref var component in action)
        {
            component = random.Uniform(-1, 1);
        }
    }

    private static Driver Waypoints(EnvironmentTask task)
    {
        WaypointController? controller = null;
        return (environment, random, action) =>
        {
            if (environment is not Maze2d maze)
            {
                throw TiltException.Usage(
                    $"--driver waypoint finds its way in maze2d tasks only, not in {task.Name}; random acts everywhere."
                );
            }
            controller ??= new WaypointController(maze.Map);
            if (environment.Steps == 0)
            {
                controller.Forget();
            }
            controller.Act(environment.Observation, maze.Target, random, action);
        };
    }

    private static EnvironmentTask Task(ArgumentResult result)
    {
        var typed = result.Tokens[0].Value;
        if (!Tasks.TryFind(typed, out var task))
        {
            result.AddError(Suggest.Unknown("task", typed, Tasks.Names).Message);
        }
        return task!;
    }

    private static Option<int> Number(string name, string what, int preset, int least, int most) =>
        new(name)
        {
            HelpName = "N",
            Description = $"{what} [{preset}]",
            DefaultValueFactory = _ => preset,
            CustomParser = result => Whole(result, least, most),
        };

    private static int Whole(ArgumentResult result, int least, int most)
    {
        var typed = result.Tokens[0].Value;
        if (int.TryParse(typed, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        {
            if (number >= least && number <= most)
            {
                return number;
            }
        }
        var option = ((OptionResult)result.Parent!).Option.Name;
        result.AddError($"{option} '{typed}': expected a whole number from {least} to {most}.");
        return least;
    }
}
