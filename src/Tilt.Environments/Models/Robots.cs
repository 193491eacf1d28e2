using System.Collections.Concurrent;
using System.Globalization;
using System.Xml.Linq;
using Tilt.Environments.Mazes;
using Tilt.Environments.Simulation;

namespace Tilt.Environments.Models;

/// <summary>The models of all tasks: MJCF as text, and compiled once per process.</summary>
internal static class Robots
{
    private static readonly ConcurrentDictionary<string, Lazy<MujocoModel>> Compiled = new(StringComparer.Ordinal);

    /// <summary>hopper, halfcheetah, walker2d or ant.</summary>
    /// <param name="name">Which.</param>
    /// <param name="rule">How masses follow from shapes.</param>
    public static string Robot(string name, InertiaRule rule)
    {
        var mjcf = Resource(name);
        Inertia.Apply(mjcf, rule);
        return Finish(mjcf);
    }

    /// <summary>D4RL's ant among the walls of a maze.</summary>
    /// <remarks>
    /// It differs from the ant that walks in the open by four settings: a time step of 0.02 s, motors that take ±30 N·m without a
    /// gear, and stiffer contacts (solref, solimp). A wall cell becomes a box of 4 × 4 × 2 m.
    /// </remarks>
    /// <param name="map">The maze; null for open ground.</param>
    public static string AntMaze(MazeMap? map)
    {
        var mjcf = Resource("ant");
        var root = mjcf.Root!;
        root.Element("option")!.SetAttributeValue("timestep", "0.02");
        var defaults = root.Element("default")!;
        defaults.Element("motor")!.SetAttributeValue("ctrlrange", "-30 30");
        defaults.Element("motor")!.SetAttributeValue("gear", "1");
        defaults.Element("geom")!.SetAttributeValue("solref", "0.02 1");
        defaults.Element("geom")!.SetAttributeValue("solimp", "0.8 0.8 0.01");
        Inertia.Apply(mjcf, InertiaRule.MuJoCo200);

        var world = root.Element("worldbody")!;
        foreach (var (row, column) in map?.Walls ?? [])
        {
            var (x, y) = AntMazeGeometry.Center(map!, row, column);
            world.Add(
                Box(
                    $"block_{row}_{column}",
                    $"{Number(x)} {Number(y)} 1",
                    "2 2 1",
                    ("contype", "1"),
                    ("conaffinity", "1")
                )
            );
        }
        world.Add(
            new XElement(
                "site",
                new XAttribute("name", "goal"),
                new XAttribute("type", "cylinder"),
                new XAttribute("size", "0.5 0.02"),
                new XAttribute("pos", "0 0 0.02"),
                new XAttribute("material", "goal")
            )
        );
        return Finish(mjcf);
    }

    /// <summary>The sliding ball among the walls of a maze: a wall cell becomes a box of 1 × 1 × 0.4 m.</summary>
    /// <param name="map">The maze.</param>
    public static string Maze2d(MazeMap map)
    {
        var mjcf = Resource("point");
        foreach (var (row, column) in map.Walls)
        {
            mjcf.Root!.Element("worldbody")!
                .Add(Box($"wall_{row}_{column}", $"{row + 1} {column + 1} 0", "0.5 0.5 0.2"));
        }
        return Finish(mjcf);
    }

    /// <summary>The compiled model of a key, from MJCF made at first use.</summary>
    public static MujocoModel Compile(string key, Func<string> mjcf)
    {
        Mujoco.Require();
        return Compiled.GetOrAdd(key, _ => new(() => MujocoModel.Compile(mjcf(), key))).Value;
    }

    private static XElement Box(string name, string position, string size, params (string Name, string Value)[] more) =>
        new(
            "geom",
            new XAttribute("name", name),
            new XAttribute("type", "box"),
            new XAttribute("pos", position),
            new XAttribute("size", size),
            new XAttribute("material", "wall"),
            more.Select(attribute => new XAttribute(attribute.Name, attribute.Value))
        );

    private static string Finish(XDocument mjcf)
    {
        foreach (var part in Resource("scene").Root!.Elements())
        {
            if (mjcf.Root!.Element(part.Name) is { } present)
            {
                present.Add(part.Elements());
            }
            else
            {
                mjcf.Root.Add(part);
            }
        }
        return mjcf.ToString();
    }

    private static XDocument Resource(string name)
    {
        using var stream = typeof(Robots).Assembly.GetManifestResourceStream($"{name}.xml")!;
        return XDocument.Load(stream);
    }

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
