using System.Text.RegularExpressions;
using Tilt.Samples;
using static TorchSharp.torch;

namespace Tilt.Tests.Documentation;

public partial class ReadmeTests
{
    [Fact]
    public void The_example_is_the_code_of_the_sample()
    {
        var readme = File.ReadAllText(Path.Combine(Repository.Root, "README.md"));
        var sample = File.ReadAllText(Path.Combine(Repository.Root, "samples", "Tilt.Samples", "TiltYourOwnData.cs"));

        var shown = Lines(Block().Match(readme).Groups[1].Value);
        var compiled = Lines(Region().Match(sample).Groups[1].Value);

        Assert.NotEmpty(compiled);
        Assert.Equal(compiled, shown);
    }

    [Fact]
    public void The_example_tilts_a_Gaussian_to_where_the_closed_form_says()
    {
        using var scope = NewDisposeScope();
        // q₀ = N(0, I) and E = ½‖x − c‖² give p₀ = N(β·c/(1 + β), I/(1 + β)); here the mean is (1, −0.5) and the variance 1/2.
        var data = randn([20000, 2], generator: new Generator(1));
        var centre = tensor(new float[] { 2, -1 });

        var samples = TiltYourOwnData.Run(data, x0 => 0.5 * (x0 - centre).square().sum(-1), beta: 1, steps: 1000);

        // A few hundred steps of small networks are off by some hundredths; untilted samples would be off by 1 and by 1/2.
        Assert.Equal([4000, 2], samples.shape);
        Assert.InRange(samples.mean([0])[0].item<float>(), 0.8f, 1.2f);
        Assert.InRange(samples.mean([0])[1].item<float>(), -0.65f, -0.35f);
        Assert.InRange(samples.var([0]).mean().item<float>(), 0.35f, 0.65f);
    }

    [Fact]
    public void Links_between_pages_lead_somewhere()
    {
        var pages = new[] { "README.md", "CONTRIBUTING.md", "CHANGELOG.md" }
            .Select(page => Path.Combine(Repository.Root, page))
            .Concat(
                Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs"), "*.md", SearchOption.AllDirectories)
            );

        var dead =
            from page in pages
            from Match link in Link().Matches(File.ReadAllText(page))
            let target = link.Groups[1].Value.Split('#')[0]
            where target.Length > 0 && !target.Contains("://", StringComparison.Ordinal)
            where !Path.Exists(Path.Combine(Path.GetDirectoryName(page)!, target))
            select $"{Path.GetRelativePath(Repository.Root, page)}: {target}";

        Assert.Empty(dead);
    }

    [Fact]
    public void Every_decision_is_in_the_index()
    {
        var folder = Path.Combine(Repository.Root, "docs", "decisions");
        var index = File.ReadAllText(Path.Combine(folder, "README.md"));

        var pages = Directory
            .EnumerateFiles(folder, "*.md")
            .Select(page => Path.GetFileName(page)!)
            .Where(page => page != "README.md");

        Assert.All(pages, page => Assert.Contains($"({page})", index, StringComparison.Ordinal));
    }

    private static string[] Lines(string code) =>
        [.. code.Split('\n').Select(line => line.Trim()).Where(line => line.Length > 0)];

    [GeneratedRegex("```csharp\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Block();

    [GeneratedRegex("#region readme\n(.*?)#endregion", RegexOptions.Singleline)]
    private static partial Regex Region();

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();
}
