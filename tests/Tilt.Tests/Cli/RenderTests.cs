using SkiaSharp;
using Tilt.Environments.Rendering;

namespace Tilt.Tests.Cli;

public class RenderTests
{
    [Theory]
    [InlineData("hopper", "random")]
    [InlineData("hopper", "medium")]
    [InlineData("walker2d", "expert")]
    [InlineData("maze2d-umaze", "waypoint")]
    public void Frames_animation_and_strip_are_written(string task, string driver)
    {
        Needed();
        using var folder = new TemporaryFolder();
        string[] size = ["--width", "64", "--height", "48", "--plain", "--frames", "8", "--quiet"];
        var result = CommandLine.Run(["render", task, "--driver", driver, "--out", folder.Path, .. size]);
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Contains("animation.png", result.Output);
        Assert.Equal(8, Directory.GetFiles(folder.File("frames")).Length);
        using var first = SKBitmap.Decode(folder.File("frames/00000.png"));
        using var animation = SKBitmap.Decode(folder.File("animation.png"));
        using var strip = SKBitmap.Decode(folder.File("strip.png"));
        Assert.Equal((64, 48), (first.Width, first.Height));
        Assert.Equal(first.Bytes, animation.Bytes);
        Assert.Equal((6 * 32 + 5 * 4, 24), (strip.Width, strip.Height));
        Assert.NotEqual(
            File.ReadAllBytes(folder.File("frames/00000.png")),
            File.ReadAllBytes(folder.File("frames/00007.png"))
        );
    }

    [Theory]
    [InlineData("hoper", "Did you mean 'hopper'?")]
    [InlineData("nothing", "unknown task 'nothing'")]
    public void A_mistyped_task_gets_a_suggestion(string task, string message)
    {
        var result = CommandLine.Run("render", task);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(message, result.Error);
    }

    [Fact]
    public void The_waypoint_driver_is_for_maze2d()
    {
        Needed();
        using var folder = new TemporaryFolder();
        var result = CommandLine.Run(
            "render",
            "hopper",
            "--driver",
            "waypoint",
            "--plain",
            "--width",
            "16",
            "--height",
            "16",
            "--out",
            folder.Path
        );
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("maze2d", result.Error);
    }

    [Fact]
    public void Behavior_policies_are_for_their_robots()
    {
        var result = CommandLine.Run("render", "maze2d-umaze", "--driver", "expert");
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("hopper", result.Error);
    }

    [Fact]
    public void A_policy_that_is_not_there_is_named()
    {
        using var folder = new TemporaryFolder();
        var result = CommandLine.Run("render", "hopper", "--policy", folder.File("none"));
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains(folder.File("none"), result.Error);
    }

    [Fact]
    public void Tasks_are_listed()
    {
        var result = CommandLine.Run("list", "tasks");
        Assert.Equal(0, result.ExitCode);
        Assert.Contains("antmaze-large-diverse", result.Output);
        Assert.Contains("3234.3", result.Output);
    }

    private static void Needed() =>
        Assert.SkipUnless(Renderer.Availability.IsAvailable, Renderer.Availability.Problem ?? "");
}
