using Tilt.Environments;
using Tilt.Environments.Rendering;

namespace Tilt.Tests.Environments;

public class RendererTests
{
    private const int Width = 96;
    private const int Height = 64;

    [Fact]
    public void Pictures_are_the_same_for_the_same_state_and_move_with_it()
    {
        Needed();
        using var environment = Physics.Started("hopper");
        using var renderer = new Renderer(environment, Width, Height, fine: false);
        var first = Picture(renderer);
        Assert.Equal(first, Picture(renderer));
        Assert.True(Colours(first) > 20, "a picture shows sky, tiles and a robot");

        var position = environment.Position.ToArray();
        position[2] = 0.8;
        environment.SetState(position, new double[6]);
        Assert.NotEqual(first, Picture(renderer));
    }

    [Fact]
    public void The_robot_stands_upright_in_the_middle_under_the_sky()
    {
        Needed();
        using var environment = Physics.Started("hopper");
        using var renderer = new Renderer(environment, Width, Height, fine: false);
        var picture = Picture(renderer);
        var (red, green, blue) = At(picture, Width / 2, Height / 8);
        Assert.True(blue > red, $"sky at the top, found ({red}, {green}, {blue})");
        var orange = Enumerable
            .Range(0, Height)
            .Count(y =>
            {
                var (r, _, b) = At(picture, Width / 2, y);
                return r > b + 50;
            });
        Assert.InRange(orange, Height / 6, Height);
        Assert.Equal(0, Enumerable.Range(0, Height).Count(y => At(picture, 3, y).Red > At(picture, 3, y).Blue + 50));
    }

    [Fact]
    public void The_target_is_drawn_where_it_is()
    {
        Needed();
        using var environment = Physics.Started("maze2d-umaze");
        using var renderer = new Renderer(environment, Width, Height, fine: false);
        var picture = Picture(renderer);
        var green = Enumerable
            .Range(0, Width * Height)
            .Where(i => picture[3 * i + 1] > picture[3 * i] + 40 && picture[3 * i + 1] > picture[3 * i + 2] + 20)
            .Select(i => (X: i % Width, Y: i / Width))
            .ToArray();
        Assert.NotEmpty(green);
        // The map's goal is up and to the left, as it is written.
        Assert.True(green.Average(p => p.X) < Width / 2.0 && green.Average(p => p.Y) < Height / 2.0);
    }

    [Fact]
    public void Pictures_leave_the_simulation_alone()
    {
        Needed();
        using var seen = Physics.Started("ant");
        using var unseen = Physics.Started("ant");
        using var renderer = new Renderer(seen, Width, Height, fine: false);
        var random = new RandomStream(0, "actions");
        for (var step = 0; step < 10; step++)
        {
            Picture(renderer);
            var action = Physics.Action(seen.Task, random);
            Assert.Equal(seen.Step(action), unseen.Step(action));
        }
    }

    [Fact]
    public void Any_thread_may_take_pictures_one_after_the_other()
    {
        Needed();
        using var environment = Physics.Started("maze2d-open");
        using var renderer = new Renderer(environment, Width, Height, fine: false);
        var here = Picture(renderer);
        byte[]? there = null;
        var thread = new Thread(() => there = Picture(renderer));
        thread.Start();
        thread.Join();
        Assert.Equal(here, there);
    }

    [Fact]
    public void A_wrong_buffer_or_size_is_refused()
    {
        Needed();
        using var environment = Physics.Started("hopper");
        Assert.Throws<EnvironmentException>(() => new Renderer(environment, 0, 10));
        using var renderer = new Renderer(environment, Width, Height, fine: false);
        Assert.Contains("expected", Assert.Throws<EnvironmentException>(() => renderer.Render(new byte[5])).Message);
        renderer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => renderer.Render(new byte[3 * Width * Height]));
    }

    [Fact]
    public void Without_OpenGL_the_remedy_is_told()
    {
        var missing = Renderer.Missing("libEGL.so.1 is not there; libOSMesa.so.8 is not there");
        Assert.False(missing.IsAvailable);
        Assert.Contains("libOSMesa.so.8", missing.Problem);
        Assert.Contains("libosmesa6", missing.Remedy);
    }

    private static void Needed()
    {
        Physics.Needed();
        Assert.SkipUnless(Renderer.Availability.IsAvailable, Renderer.Availability.Problem ?? "");
    }

    private static byte[] Picture(Renderer renderer)
    {
        var rgb = new byte[3 * renderer.Width * renderer.Height];
        renderer.Render(rgb);
        return rgb;
    }

    private static (int Red, int Green, int Blue) At(byte[] picture, int x, int y)
    {
        var i = 3 * (y * Width + x);
        return (picture[i], picture[i + 1], picture[i + 2]);
    }

    private static int Colours(byte[] picture) =>
        Enumerable
            .Range(0, picture.Length / 3)
            .Select(i => (picture[3 * i], picture[3 * i + 1], picture[3 * i + 2]))
            .Distinct()
            .Count();
}
