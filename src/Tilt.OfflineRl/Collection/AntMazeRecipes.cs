using Tilt.Environments;
using Tilt.Environments.Mazes;

namespace Tilt.OfflineRl.Collection;

/// <summary>AntMaze: an ant that is led through a maze from goal to goal, rewarded for passing one it never heard of.</summary>
internal static class AntMazeRecipes
{
    private const int Size = 1_000_000;

    // Goal cells of D4RL's collecting maps (maze_env.py, BIG_MAZE and HARDEST_MAZE).
    private static readonly (int, int)[] MediumGoals = [(2, 6), (5, 1), (6, 5)];
    private static readonly (int, int)[] LargeGoals = [(1, 6), (3, 5), (3, 10), (5, 2), (7, 4), (7, 6), (7, 9)];

    /// <summary>All of them.</summary>
    public static IReadOnlyList<DataRecipe> All { get; } =
    [
        Recipe("antmaze-umaze", MazeMaps.AntUmaze, MazeSpread.Fixed, []),
        Recipe("antmaze-umaze-diverse", MazeMaps.AntUmaze, MazeSpread.Diverse, []),
        Recipe("antmaze-medium-play", MazeMaps.AntMedium, MazeSpread.Play, MediumGoals),
        Recipe("antmaze-medium-diverse", MazeMaps.AntMedium, MazeSpread.Diverse, []),
        Recipe("antmaze-large-play", MazeMaps.AntLarge, MazeSpread.Play, LargeGoals),
        Recipe("antmaze-large-diverse", MazeMaps.AntLarge, MazeSpread.Diverse, []),
    ];

    private static DataRecipe Recipe(string name, MazeMap map, MazeSpread spread, (int, int)[] goals)
    {
        var task = Tasks.Find(name);
        var drawn = spread switch
        {
            MazeSpread.Fixed => "from the start to the goal",
            MazeSpread.Play => $"from anywhere to {goals.Length} chosen goals",
            _ => "from anywhere to anywhere",
        };
        return new()
        {
            Name = name,
            Summary = $"ant in the {map.Name} maze, {drawn}",
            Task = name,
            DefaultSize = Size,
            Protocol =
                $"A goal-reaching policy led by waypoints {drawn}; noise 0.2·N(0, 1) on actions, clipped; episodes of "
                + $"{task.MaximumSteps + 1} rows that do not end at their goal; rewards and terminals relabelled for one goal in the "
                + "evaluation's goal cell, at the position after each step.",
            TakesPolicyFile = true,
            Missing = () => AntPolicy.Missing,
            PolicyHashes = _ => AntPolicy.ShippedHashes,
            Make = request =>
            {
                var policy = AntPolicy.Load(request.PolicyFile);
                var steps = new AntMazeCollector(task, map, spread, goals, () => new AntBody(task)).Collect(
                    request,
                    policy.Act
                );
                steps.Policies.Add(policy.Description);
                return steps;
            },
        };
    }
}
