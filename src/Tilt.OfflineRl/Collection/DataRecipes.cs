using Tilt.OfflineRl.Data;

namespace Tilt.OfflineRl.Collection;

/// <summary>All data sets that Tilt can make. A family is its file and a line here.</summary>
public static class DataRecipes
{
    /// <summary>In the order of listings.</summary>
    public static IReadOnlyList<DataRecipe> All { get; } =
    [.. LocomotionRecipes.All, .. Maze2dRecipes.All, .. AntMazeRecipes.All];

    /// <summary>Their names.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. All.Select(recipe => recipe.Name)];

    /// <summary>The recipe of a name.</summary>
    /// <param name="name">With or without the prefix of own data sets.</param>
    /// <exception cref="TiltException">There is none.</exception>
    public static DataRecipe Named(string name) =>
        TryNamed(name) ?? throw Suggest.Unknown("data set to make", name, Names);

    /// <summary>Like <see cref="Named"/>, but null where there is none.</summary>
    public static DataRecipe? TryNamed(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        var bare = name.StartsWith(DataFiles.OwnPrefix, StringComparison.OrdinalIgnoreCase)
            ? name[DataFiles.OwnPrefix.Length..]
            : name;
        return All.FirstOrDefault(recipe => recipe.Name.Equals(bare, StringComparison.OrdinalIgnoreCase));
    }
}
