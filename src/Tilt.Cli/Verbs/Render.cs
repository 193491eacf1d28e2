using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Tilt.Cli.Reports;
using Tilt.Environments;
using Tilt.Environments.Rendering;

namespace Tilt.Cli.Verbs;

/// <summary><c>tilt render</c>: pictures of a task, an animation that browsers play, and a strip of a few frames.</summary>
internal static class Render
{
    private const int StripFrames = 6;
    private const double WantedSecondsPerFrame = 0.04;

    /// <summary>The verb.</summary>
    public static Verb Verb(Terminal terminal)
    {
        var verb = new Verb(
            "render",
            "Draws a task: frames, an animation that browsers play, and a strip.",
            "./tilt render hopper --driver expert",
            "./tilt render hopper --policy runs/hopper-medium-replay/qgpo/seed-0"
        );
        var task = new Argument<EnvironmentTask>("TASK")
        {
            Description = "what to draw ('list tasks' names them)",
            CustomParser = Task,
        };
        var driver = CommonOptions.Name("--driver", "driver", "who acts", [.. RenderDrivers.All.Keys], "random");
        var policy = new Option<string?>("--policy")
        {
            HelpName = "RUN",
            Description = "a trained run, or its policy file, acts instead",
        };
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
        foreach (var option in new Option[] { driver, policy, frames, every, width, height, plain, seed, folder })
        {
            verb.Add(option);
        }
        verb.SetAction(parsed =>
        {
            var chosen = parsed.GetRequiredValue(task);
            var acting = parsed.GetValue(policy) is { } saved
                ? RenderDrivers.Saved(chosen, saved)
                : RenderDrivers.All[parsed.GetValue(driver)!](chosen);
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
                acting,
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
