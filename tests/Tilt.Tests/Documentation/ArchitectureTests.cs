using System.Xml.Linq;
using ArchUnitNET.Domain;
using ArchUnitNET.Loader;

namespace Tilt.Tests.Documentation;

/// <summary>The tables of docs/architecture.md, held against project files and compiled code.</summary>
public class ArchitectureTests
{
    private static string Page { get; } = Path.Combine(Repository.Root, "docs", "architecture.md");

    private static IReadOnlyList<string[]> Projects { get; } = MarkdownTable.Read(Page, "## Projects");

    private static IReadOnlyList<string[]> Namespaces { get; } = MarkdownTable.Read(Page, "## Namespaces");

    private static readonly Lazy<Architecture> Code = new(() =>
        new ArchLoader()
            .LoadAssemblies([
                .. Projects.Select(row => System.Reflection.Assembly.Load(MarkdownTable.Names(row[0])[0])),
            ])
            .Build()
    );

    public static TheoryData<string> ProjectNames() => [.. Projects.Select(row => MarkdownTable.Names(row[0])[0])];

    public static TheoryData<string> NamespaceNames() => [.. Namespaces.Select(row => MarkdownTable.Names(row[0])[0])];

    [Fact]
    public void Every_project_of_src_has_a_row()
    {
        var folders = Directory
            .EnumerateDirectories(Path.Combine(Repository.Root, "src"))
            .Where(folder => Directory.EnumerateFiles(folder, "*.csproj").Any())
            .Select(folder => Path.GetFileName(folder)!);

        Assert.Equal(
            folders.Order(StringComparer.Ordinal),
            Projects.Select(row => MarkdownTable.Names(row[0])[0]).Order(StringComparer.Ordinal)
        );
    }

    [Theory]
    [MemberData(nameof(ProjectNames))]
    public void A_project_refers_to_what_its_row_names_and_to_nothing_else(string project)
    {
        var row = Projects.Single(row => MarkdownTable.Names(row[0])[0] == project);
        var file = XDocument.Load(Path.Combine(Repository.Root, "src", project, project + ".csproj"));
        var projects = file.Descendants("ProjectReference")
            .Select(node => Path.GetFileNameWithoutExtension(node.Attribute("Include")!.Value));
        var packages = file.Descendants("PackageReference").Select(node => node.Attribute("Include")!.Value);

        AssertWithin(MarkdownTable.Names(row[2]), projects, $"{project} refers to projects");
        AssertWithin(MarkdownTable.Names(row[3]), packages, $"{project} refers to packages");
    }

    [Fact]
    public void Every_namespace_of_a_project_with_rows_has_a_row()
    {
        var rows = Namespaces.Select(row => MarkdownTable.Names(row[0])[0]).ToList();
        var divided = Projects
            .Select(row => MarkdownTable.Names(row[0])[0])
            .Where(project => rows.Any(name => Within(name, project)))
            .ToList();

        var homeless = Types()
            .Where(type =>
                divided.Contains(type.Assembly.Name.Split(',')[0])
                && RowOf(type.Namespace.FullName, type.Assembly.Name.Split(',')[0]) is null
            )
            .Select(type => type.FullName);

        Assert.Empty(homeless);
    }

    [Theory]
    [MemberData(nameof(NamespaceNames))]
    public void A_namespace_uses_what_its_row_names_and_nothing_else(string name)
    {
        var row = Namespaces.Single(row => MarkdownTable.Names(row[0])[0] == name);
        var allowed = MarkdownTable.Names(row[2]);
        var project = ProjectOf(name);

        var wrong =
            from type in Types()
            where ProjectOf(type) == project && RowOf(type.Namespace.FullName, project) == name
            from dependency in type.Dependencies
            let target = dependency.Target
            // The T of one generic method is mistaken for another's of the same shape; a parameter is no use of anything.
            where target is not GenericParameter && target.Namespace is not null && ProjectOf(target) == project
            let home = RowOf(target.Namespace.FullName, project)
            where home is not null && home != name && !allowed.Contains(home)
            select $"{type.FullName} uses {target.FullName}";

        Assert.Empty(wrong.Distinct().Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("ScottPlot", "Tilt.Cli.Reports")]
    [InlineData("SkiaSharp", "Tilt.Cli.Reports")]
    [InlineData("System.CommandLine", "Tilt.Cli")]
    [InlineData("Spectre.Console", "Tilt.Cli")]
    public void Some_packages_have_one_home(string package, string home)
    {
        var users = Types()
            .Where(type =>
                type.Dependencies.Any(dependency =>
                    dependency.Target.Namespace is { } target && Within(target.FullName, package)
                )
            )
            .Select(type => type.Namespace.FullName)
            .Distinct()
            .ToList();

        Assert.NotEmpty(users);
        Assert.All(users, user => Assert.True(Within(user, home), $"{user} uses {package}"));
    }

    private static IEnumerable<IType> Types() =>
        Code.Value.Types.Where(type => type.Namespace is not null && Within(type.Namespace.FullName, "Tilt"));

    private static bool Within(string name, string outer) =>
        name == outer || name.StartsWith(outer + ".", StringComparison.Ordinal);

    private static string ProjectOf(IType type) => type.Assembly.Name.Split(',')[0];

    private static string ProjectOf(string name) =>
        Projects
            .Select(row => MarkdownTable.Names(row[0])[0])
            .Where(project => Within(name, project))
            .MaxBy(project => project.Length)!;

    /// <summary>The row a namespace falls under, the longest name that fits; the root row of a project holds the root only.</summary>
    private static string? RowOf(string name, string project) =>
        Namespaces
            .Select(row => MarkdownTable.Names(row[0])[0])
            .Where(row => ProjectOf(row) == project && (row == project ? name == project : Within(name, row)))
            .MaxBy(row => row.Length);

    private static void AssertWithin(IReadOnlyList<string> allowed, IEnumerable<string> found, string what)
    {
        var extra = found.Except(allowed).ToList();
        Assert.True(extra.Count == 0, $"{what} that docs/architecture.md does not name: {string.Join(", ", extra)}");
    }
}
