using System.Globalization;
using System.Xml.Linq;

namespace Tilt.Environments.Models;

/// <summary>How the mass and inertia of a capsule are inferred from its shape.</summary>
public enum InertiaRule
{
    /// <summary>As MuJoCo 2.1.0 and older did, under which D4RL's data were recorded and its scores measured.</summary>
    MuJoCo200,

    /// <summary>Exactly, as MuJoCo 2.1.1 and newer do, under which Gymnasium's v4 tasks run.</summary>
    Exact,
}

/// <summary>Writes masses and inertias into a model by the chosen rule.</summary>
/// <remarks>
/// Old rule: a capsule of radius r and half length h weighs and turns like a solid cylinder of length H = 2h + r:
/// m = ρπr²H, I_x = I_y = m(3r² + H²)/12, I_z = mr²/2. (A capsule proper has m = ρπr²(2h + 4r/3).) <c>settotalmass</c> scales
/// masses and inertias alike. Body masses under both rules are in docs/environments.md.
/// Reads MJCF in local frames whose robots are made of capsules and spheres, types and densities given on the geom or by the
/// one default geom: that is how the models of this project are written. A body of several geoms brings its own inertial element.
/// </remarks>
internal static class Inertia
{
    private sealed record Part(double Mass, double Across, double Along, double[] Center);

    /// <summary>Makes the rule hold for every body.</summary>
    /// <param name="mjcf">The model; altered.</param>
    /// <param name="rule">Which.</param>
    public static void Apply(XDocument mjcf, InertiaRule rule)
    {
        var compiler = mjcf.Root!.Element("compiler")!;
        if (rule == InertiaRule.Exact)
        {
            compiler.SetAttributeValue("inertiafromgeom", "true");
            return;
        }
        var defaults = mjcf.Root.Element("default")?.Element("geom");
        var bodies = mjcf
            .Root.Element("worldbody")!
            .Descendants("body")
            .Select(body => (Body: body, Parts: body.Elements("geom").Select(geom => PartOf(geom, defaults)).ToArray()))
            .ToArray();

        var scale = 1.0;
        if (compiler.Attribute("settotalmass") is { } total)
        {
            scale = Number(total.Value) / bodies.Sum(body => body.Parts.Sum(part => part.Mass));
            total.Remove();
        }
        foreach (var (body, parts) in bodies.Where(body => body.Body.Element("inertial") is null))
        {
            body.AddFirst(Inertial(parts.Single(), body.Element("geom")!, scale));
        }
    }

    private static Part PartOf(XElement geom, XElement? defaults)
    {
        var size = Numbers(Attribute(geom, defaults, "size")!);
        var density = Attribute(geom, defaults, "density") is { } text ? Number(text) : 1000;
        var r = size[0];
        var center = geom.Attribute("pos") is { } position ? Numbers(position.Value) : [0, 0, 0];
        if (Attribute(geom, defaults, "type") == "sphere")
        {
            var mass = density * 4 / 3 * Math.PI * (r * r * r);
            return new(mass, 2 * mass * (r * r) / 5, 2 * mass * (r * r) / 5, center);
        }
        var half = size.Length > 1 ? size[1] : 0;
        if (geom.Attribute("fromto") is { } fromTo)
        {
            var ends = Numbers(fromTo.Value);
            center = [(ends[0] + ends[3]) / 2, (ends[1] + ends[4]) / 2, (ends[2] + ends[5]) / 2];
            half = Math.Sqrt(Square(ends[0] - ends[3]) + Square(ends[1] - ends[4]) + Square(ends[2] - ends[5])) / 2;
        }
        var length = 2 * half + r;
        var m = density * Math.PI * r * r * length;
        return new(m, m * (3 * r * r + length * length) / 12, m * r * r / 2, center);
    }

    /// <summary>The body's principal axes are its geom's.</summary>
    private static XElement Inertial(Part part, XElement geom, double scale) =>
        new(
            "inertial",
            new XAttribute("pos", Text(part.Center)),
            Orientation(geom),
            new XAttribute("mass", Text(part.Mass * scale)),
            new XAttribute("diaginertia", Text(part.Across * scale, part.Across * scale, part.Along * scale))
        );

    private static XAttribute? Orientation(XElement geom)
    {
        if (geom.Attribute("fromto") is { } fromTo)
        {
            var ends = Numbers(fromTo.Value);
            return new("zaxis", Text(ends[0] - ends[3], ends[1] - ends[4], ends[2] - ends[5]));
        }
        var given = geom.Attribute("quat") ?? geom.Attribute("axisangle");
        return given is null ? null : new(given.Name, given.Value);
    }

    private static string? Attribute(XElement geom, XElement? defaults, string name) =>
        geom.Attribute(name)?.Value ?? defaults?.Attribute(name)?.Value;

    private static double Square(double x) => x * x;

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    private static double[] Numbers(string text) =>
        text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Number).ToArray();

    private static string Text(params double[] numbers) =>
        string.Join(' ', numbers.Select(number => number.ToString("R", CultureInfo.InvariantCulture)));
}
