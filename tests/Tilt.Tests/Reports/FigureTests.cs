using System.Globalization;
using System.Xml.Linq;
using ScottPlot;
using SkiaSharp;
using Tilt.Cli.Reports;

namespace Tilt.Tests.Reports;

public class FigureTests
{
    public static TheoryData<string> Names() => [.. Specimens.All.Select(figure => figure.Name)];

    private static Figure Find(string name) => Specimens.All.Single(figure => figure.Name == name);

    [Theory]
    [MemberData(nameof(Names))]
    public void The_image_is_a_valid_png_of_the_stated_size_with_something_on_it(string name)
    {
        var figure = Find(name);

        using var bitmap = SKBitmap.Decode(figure.Png(1));

        Assert.Equal((figure.Width, figure.Height), (bitmap.Width, bitmap.Height));
        Assert.True(bitmap.Pixels.Distinct().Count() > 50);
        // A margin stays free, so nothing was cut off at the edge.
        Assert.All(
            Enumerable.Range(0, bitmap.Height),
            y => Assert.Equal(SKColors.White, bitmap.GetPixel(bitmap.Width - 1, y))
        );
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_drawing_is_well_formed_and_holds_its_labels_as_text(string name)
    {
        var figure = Find(name);

        var svg = XDocument.Parse(figure.Svg());

        var root = svg.Root!;
        var texts = string.Join(
            '|',
            root.Descendants().Where(node => node.Name.LocalName == "text").Select(node => node.Value.Trim())
        );
        Assert.Equal("svg", root.Name.LocalName);
        Assert.Equal(figure.Alt, root.Elements().Single(node => node.Name.LocalName == "desc").Value);
        Assert.All(
            root.Descendants().Attributes().Where(attribute => attribute.Name.LocalName == "href"),
            link => Assert.Matches("^(#|data:image/png;base64,)", link.Value)
        );
        foreach (var label in Labels(name))
        {
            Assert.Contains(label, texts, StringComparison.Ordinal);
        }
        Assert.True(figure.Svg().Length < 3_000_000);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_data_behind_it_come_as_csv(string name)
    {
        var lines = Find(name).Csv().TrimEnd('\n').Split('\n');

        var width = lines[0].Split(',').Length;
        Assert.True(lines.Length > 10);
        Assert.All(lines, line => Assert.Equal(width, line.Split(',').Length));
        Assert.True(double.TryParse(lines[1].Split(',')[^1], NumberStyles.Float, CultureInfo.InvariantCulture, out _));
    }

    [Theory]
    [InlineData("β = 3", false)]
    [InlineData("β = 20 (limited by the pool)", true)]
    public void Titles_of_neighbouring_panels_never_overlap(string title, bool shrinks)
    {
        var grid = new PanelGrid
        {
            Rows = 1,
            Columns = 2,
            PanelWidth = 150,
            PanelHeight = 150,
        };

        var size = grid.TitleSize(title);

        Assert.Equal(shrinks, size < FigureStyle.LabelSize);
        Assert.True(FigureStyle.WidthOf(title, size) < grid.DataRect(0, 1).Left - grid.DataRect(0, 0).Left);
    }

    [Fact]
    public void Saving_writes_all_three_and_leaves_nothing_aside()
    {
        using var folder = new TemporaryFolder();

        Specimens.Quality.Save(folder.File("figures"));

        Assert.Equal(
            ["quality.csv", "quality.png", "quality.svg"],
            Directory.GetFiles(folder.File("figures")).Select(Path.GetFileName).Order()
        );
    }

    [Fact]
    public void Saving_into_what_cannot_be_a_folder_says_so()
    {
        var failure = Assert.Throws<TiltException>(() => Specimens.Quality.Save("/proc/tilt-figures"));

        Assert.Contains("/proc/tilt-figures", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_same_data_make_the_same_image()
    {
        Assert.Equal(Specimens.Quality.Png(), Specimens.Quality.Png());
        Assert.Equal(Specimens.Quality.Svg(), Specimens.Quality.Svg());
        Assert.Equal(Specimens.Arrows.Svg(), Specimens.Arrows.Svg());
    }

    [Fact]
    public void Learned_energies_are_drawn_up_to_their_unknowable_constant()
    {
        var exact = new PlaneField(
            1,
            new double[,]
            {
                { 0, 1 },
                { 2, 3 },
            }
        );
        var shifted = new PlaneField(
            1,
            new double[,]
            {
                { 7, 8 },
                { 9, 10 },
            }
        );

        var figure = EnergyMaps.Make("x", "x", [new EnergyMap(0.5, shifted, exact)]);

        Assert.All(
            figure.Csv().TrimEnd('\n').Split('\n').Skip(1).Select(line => line.Split(',')),
            cells => Assert.Equal(cells[4], cells[3])
        );
    }

    [Fact]
    public void Empty_and_infinite_data_still_make_figures()
    {
        var empty = ScatterGallery.Make("empty", "Empty", ["none"], ["β = 0"], (_, _) => PlanePoints.None);
        var wild = ScatterGallery.Make(
            "wild",
            "Wild",
            ["none"],
            ["β = 0"],
            (_, _) => new([double.NaN, 1e300], [0, double.PositiveInfinity], [1, double.NaN])
        );
        var flat = LineFigures.Make(
            "flat",
            "Flat",
            "x",
            "y",
            [new LinePanel("", [new("one", [1], [double.NaN])])],
            logY: true
        );

        Assert.All([empty, wild, flat], figure => Assert.NotEmpty(figure.Png(1)));
    }

    [Fact]
    public void Colours_of_points_grow_steadily_lighter_and_stay_visible_on_white()
    {
        double Lightness(double at)
        {
            var color = FigureStyle.Points.At(at);
            static double Linear(byte part) => Math.Pow(part / 255.0, 2.2);
            return 0.2126 * Linear(color.Red) + 0.7152 * Linear(color.Green) + 0.0722 * Linear(color.Blue);
        }

        var steps = Enumerable.Range(0, 11).Select(i => Lightness(i / 10.0)).ToArray();

        Assert.Equal(steps.Order(), steps);
        Assert.True(1.05 / (steps[^1] + 0.05) > 1.7, "contrast of the lightest against white");
    }

    [Fact]
    public void A_method_has_the_same_colour_in_every_figure_and_no_two_series_share_one()
    {
        var few = FigureStyle.ColorsOf(["noise model", "CEP", "MSE"]);
        var many = FigureStyle.ColorsOf(["CEP", "MSE", "exp-MSE", "DPS", "exact"]);

        Assert.Equal([many[0], many[1]], [few[1], few[2]]);
        Assert.Equal(3, few.Distinct().Count());
        Assert.Equal(5, many.Distinct().Count());
    }

    [Theory]
    [InlineData(-4.5, 4.5, 5, new double[] { -4, -2, 0, 2, 4 })]
    [InlineData(0, 1, 6, new double[] { 0, 0.2, 0.4, 0.6, 0.8, 1 })]
    [InlineData(13, 13, 5, new double[] { 13 })]
    public void Ticks_are_round(double low, double high, int most, double[] expected)
    {
        Assert.Equal(expected, NumberTicks.Linear(low, high, most).Select(value => Math.Round(value, 9)));
    }

    [Fact]
    public void Logarithmic_ticks_are_powers_of_ten_over_many_decades()
    {
        Assert.Equal([1e-3, 1e-2, 1e-1, 1], NumberTicks.Logarithmic(5e-4, 2).Select(value => Math.Round(value, 9)));
        Assert.Equal([0.02, 0.05, 0.1, 0.2], NumberTicks.Logarithmic(0.02, 0.25).Select(value => Math.Round(value, 9)));
        Assert.Equal(["12k", "0.05", "1e-6", "3M"], new[] { 12000, 0.05, 1e-6, 3e6 }.Select(NumberTicks.Text));
    }

    private static string[] Labels(string name) =>
        name switch
        {
            "gallery" => ["ground truth", "exp-MSE", "β = 20", "label", "-4"],
            "energies" => ["CEP", "exact", "difference", "t = 0.8", "energy, nats"],
            "guidance" => ["CEP", "exact", "t = 0.4"],
            "curves" => ["noise model", "gradient steps", "loss", "MSE"],
            "quality" => ["ddim", "milliseconds for 2000 samples", "sliced W1"],
            _ => ["sliced W1", "noise floor", "β = 10", "DPS"],
        };
}
