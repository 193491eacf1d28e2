using System.Runtime.InteropServices;
using Tilt.Environments;
using Tilt.Environments.Mazes;
using Tilt.Environments.Models;
using Tilt.Environments.Simulation;

namespace Tilt.Tests.Environments;

/// <summary>The models: masses, inertias, and every physical term against the models of the literature.</summary>
public class ModelTests
{
    private static readonly Dictionary<string, (string File, Func<string> Ours)> Models = new()
    {
        ["hopper"] = ("mj200/hopper.mj200.xml", () => Robots.Robot("hopper", InertiaRule.MuJoCo200)),
        ["halfcheetah"] = ("mj200/half_cheetah.mj200.xml", () => Robots.Robot("halfcheetah", InertiaRule.MuJoCo200)),
        ["walker2d"] = ("mj200/walker2d.mj200.xml", () => Robots.Robot("walker2d", InertiaRule.MuJoCo200)),
        ["ant"] = ("mj200/ant.mj200.xml", () => Robots.Robot("ant", InertiaRule.MuJoCo200)),
        ["Hopper-v4"] = ("gymnasium/hopper.xml", () => Robots.Robot("hopper", InertiaRule.Exact)),
        ["HalfCheetah-v4"] = ("gymnasium/half_cheetah.xml", () => Robots.Robot("halfcheetah", InertiaRule.Exact)),
        ["Walker2d-v4"] = ("gymnasium/walker2d.xml", () => Robots.Robot("walker2d", InertiaRule.Exact)),
        ["Ant-v4"] = ("gymnasium/ant.xml", () => Robots.Robot("ant", InertiaRule.Exact)),
        ["antmaze-umaze"] = ("mazes/antmaze_umaze.mj200.xml", () => Robots.AntMaze(MazeMaps.AntUmaze)),
        ["antmaze-medium"] = ("mazes/antmaze_medium.mj200.xml", () => Robots.AntMaze(MazeMaps.AntMedium)),
        ["antmaze-large"] = ("mazes/antmaze_large.mj200.xml", () => Robots.AntMaze(MazeMaps.AntLarge)),
        ["maze2d-umaze"] = ("mazes/maze2d_umaze.xml", () => Robots.Maze2d(MazeMaps.PointUmaze)),
        ["maze2d-medium"] = ("mazes/maze2d_medium.xml", () => Robots.Maze2d(MazeMaps.PointMedium)),
        ["maze2d-large"] = ("mazes/maze2d_large.xml", () => Robots.Maze2d(MazeMaps.PointLarge)),
        ["maze2d-open"] = ("mazes/maze2d_open.xml", () => Robots.Maze2d(MazeMaps.PointOpen)),
    };

    // What only pictures, names or user data depend on.
    private static readonly string[] Unphysical =
    [
        "site_",
        "cam_",
        "light_",
        "tex_",
        "mat_",
        "numeric_",
        "name",
        "geom_matid",
        "geom_rgba",
        "geom_user",
    ];

    public static TheoryData<string> Names => [.. Models.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_physical_term_is_the_references_to_the_bit(string name)
    {
        Physics.Needed();
        var folder = SharedFolder.Needed("models", "mujoco");
        var (file, mjcf) = Models[name];
        using var ours = MujocoModel.Compile(mjcf(), name);
        using var reference = MujocoModel.Compile(File.ReadAllText(Path.Combine(folder, file)), file);

        Assert.Equal(Option(reference), Option(ours));
        foreach (var array in MujocoLayout.ModelArrays)
        {
            if (!Unphysical.Any(prefix => array.Name.StartsWith(prefix, StringComparison.Ordinal)))
            {
                Assert.True(reference.Bytes(array).SequenceEqual(ours.Bytes(array)), $"{name}: {array.Name} differs.");
            }
        }
    }

    public static TheoryData<string, double[]> OldMasses =>
        new()
        {
            { "hopper", [3.53429174, 3.92699082, 2.71433605, 5.08938010] },
            { "halfcheetah", [6.36031332, 1.53524804, 1.58093995, 1.06919060, 1.42558747, 1.17885117, 0.84986945] },
            { "walker2d", [3.53429174, 3.92699082, 2.71433605, 2.94053072, 3.92699082, 2.71433605, 2.94053072] },
            { "Hopper-v4", [3.66519143, 4.05789051, 2.78135670, 5.31557477] },
            { "HalfCheetah-v4", [6.25020921, 1.54351464, 1.58744770, 1.09539749, 1.43807531, 1.20083682, 0.88451883] },
        };

    /// <remarks>Printed from mujoco-py for the old rule, and from MuJoCo's own inference for the exact one.</remarks>
    [Theory]
    [MemberData(nameof(OldMasses))]
    public void Bodies_weigh_what_they_should(string task, double[] masses)
    {
        using var environment = Physics.Started(task);
        var found = environment.Data.Model.BodyMasses[1..];
        Assert.Equal(masses.Length, found.Length);
        for (var i = 0; i < masses.Length; i++)
        {
            Assert.Equal(masses[i], found[i], 1e-8);
        }
    }

    [Theory]
    [InlineData("walker2d", 22.69800692)]
    [InlineData("Walker2d-v4", 23.67713663)]
    [InlineData("ant", 0.87871017)]
    [InlineData("Ant-v4", 0.91088008)]
    [InlineData("antmaze-large-play", 0.87871017)]
    [InlineData("halfcheetah", 14)]
    [InlineData("HalfCheetah-v4", 14)]
    public void The_whole_weighs_what_it_should(string task, double mass)
    {
        using var environment = Physics.Started(task);
        var sum = 0.0;
        foreach (var body in environment.Data.Model.BodyMasses)
        {
            sum += body;
        }
        Assert.Equal(mass, sum, 1e-8);
    }

    [Fact]
    public void The_ball_of_maze2d_weighs_a_thousand_kilograms_per_cubic_metre()
    {
        using var environment = Physics.Started("maze2d-umaze");
        Assert.Equal(1000 * 4 * Math.PI / 3 * Math.Pow(0.1, 3), environment.Data.Model.BodyMasses[1], 1e-12);
    }

    /// <remarks>
    /// Two capsules, each a cylinder of length 2h + r by the old rule: torso along x (h = 0.5) about the origin, head (h = 0.15)
    /// turned by 0.87 about y at (0.6, 0, 0.1); their sum about the common centre, scaled to 14 kg in all.
    /// </remarks>
    [Fact]
    public void The_cheetahs_torso_turns_like_its_two_capsules()
    {
        using var environment = Physics.Started("halfcheetah");
        var model = environment.Data.Model;
        var torso = Cylinder(0.5, Math.PI / 2, (0, 0));
        var head = Cylinder(0.15, 0.87, (0.6, 0.1));
        var mass = torso.Mass + head.Mass;
        var scale = model.BodyMasses[1] / mass;
        var (x, z) = (head.Mass * 0.6 / mass, head.Mass * 0.1 / mass);
        Assert.Equal(x, model.Doubles("body_ipos")[3], 1e-14);
        Assert.Equal(z, model.Doubles("body_ipos")[5], 1e-14);

        double xx = 0,
            yy = 0,
            zz = 0,
            xz = 0;
        foreach (var part in new[] { torso, head })
        {
            var (dx, dz) = (part.X - x, part.Z - z);
            var (s, c) = (Math.Sin(part.Angle), Math.Cos(part.Angle));
            xx += part.Across * c * c + part.Along * s * s + part.Mass * dz * dz;
            zz += part.Across * s * s + part.Along * c * c + part.Mass * dx * dx;
            yy += part.Across + part.Mass * (dx * dx + dz * dz);
            xz += (part.Along - part.Across) * s * c - part.Mass * dx * dz;
        }
        var tensor = Tensor(model.Doubles("body_iquat").Slice(4, 4), model.Doubles("body_inertia").Slice(3, 3));
        double[] expected = [xx * scale, 0, xz * scale, 0, yy * scale, 0, xz * scale, 0, zz * scale];
        for (var i = 0; i < 9; i++)
        {
            Assert.Equal(expected[i], tensor[i], 1e-13);
        }
    }

    [Fact]
    public void A_model_that_does_not_compile_is_named_with_the_compilers_reason()
    {
        Physics.Needed();
        var error = Assert.Throws<EnvironmentException>(() =>
            MujocoModel.Compile("<mujoco><nothing/></mujoco>", "a robot")
        );
        Assert.Contains("a robot", error.Message);
        Assert.Contains("nothing", error.Message);
    }

    [Fact]
    public void Bodies_are_found_by_name()
    {
        using var environment = Physics.Started("ant");
        var model = environment.Data.Model;
        Assert.Equal(1, model.IdOf(MujocoModel.Body, "torso"));
        Assert.Equal(2, model.IdOf(MujocoModel.Body, "hip 1"));
        Assert.Equal(-1, model.IdOf(MujocoModel.Body, "wings"));
    }

    private static (double Mass, double Across, double Along, double Angle, double X, double Z) Cylinder(
        double half,
        double angle,
        (double X, double Z) center
    )
    {
        const double r = 0.046;
        var length = 2 * half + r;
        var mass = 1000 * Math.PI * r * r * length;
        return (mass, mass * (3 * r * r + length * length) / 12, mass * r * r / 2, angle, center.X, center.Z);
    }

    /// <summary>R·diag(I)·Rᵀ, row by row.</summary>
    private static double[] Tensor(ReadOnlySpan<double> q, ReadOnlySpan<double> inertia)
    {
        double[] r =
        [
            1 - 2 * (q[2] * q[2] + q[3] * q[3]),
            2 * (q[1] * q[2] - q[0] * q[3]),
            2 * (q[1] * q[3] + q[0] * q[2]),
            2 * (q[1] * q[2] + q[0] * q[3]),
            1 - 2 * (q[1] * q[1] + q[3] * q[3]),
            2 * (q[2] * q[3] - q[0] * q[1]),
            2 * (q[1] * q[3] - q[0] * q[2]),
            2 * (q[2] * q[3] + q[0] * q[1]),
            1 - 2 * (q[1] * q[1] + q[2] * q[2]),
        ];
        var tensor = new double[9];
        for (var i = 0; i < 3; i++)
        {
            for (var j = 0; j < 3; j++)
            {
                for (var k = 0; k < 3; k++)
                {
                    tensor[3 * i + j] += r[3 * i + k] * inertia[k] * r[3 * j + k];
                }
            }
        }
        return tensor;
    }

    /// <summary>mjOption and mjStatistic: what the solver reads besides the arrays.</summary>
    private static unsafe double[] Option(MujocoModel model)
    {
        var option = new ReadOnlySpan<double>((void*)(model.Handle + MujocoLayout.Options), 240 / 8).ToArray();
        var statistic = new ReadOnlySpan<double>((void*)(model.Handle + 1032), 2).ToArray();
        return [.. option, .. statistic];
    }
}
