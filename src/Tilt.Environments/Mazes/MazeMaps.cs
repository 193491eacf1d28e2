namespace Tilt.Environments.Mazes;

/// <summary>The mazes of D4RL.</summary>
public static class MazeMaps
{
    /// <summary>For the ant: a U turned on its side.</summary>
    public static MazeMap AntUmaze { get; } = new("umaze", "#####", "#R..#", "###.#", "#G..#", "#####");

    /// <summary>For the ant, the evaluation map of the medium tasks.</summary>
    public static MazeMap AntMedium { get; } =
        new("medium", "########", "#R.##..#", "#..#...#", "##...###", "#..#...#", "#.#..#.#", "#...#.G#", "########");

    /// <summary>For the ant, the evaluation map of the large tasks.</summary>
    public static MazeMap AntLarge { get; } =
        new(
            "large",
            "############",
            "#R...#.....#",
            "#.##.#.#.#.#",
            "#......#...#",
            "#.####.###.#",
            "#..#.#.....#",
            "##.#.#.#.###",
            "#..#...#.G.#",
            "############"
        );

    /// <summary>For the ball: a U turned on its side.</summary>
    public static MazeMap PointUmaze { get; } = new("umaze", "#####", "#G..#", "###.#", "#...#", "#####");

    /// <summary>For the ball.</summary>
    public static MazeMap PointMedium { get; } =
        new("medium", "########", "#..##..#", "#..#...#", "##...###", "#..#...#", "#.#..#.#", "#...#.G#", "########");

    /// <summary>For the ball.</summary>
    public static MazeMap PointLarge { get; } =
        new(
            "large",
            "############",
            "#....#.....#",
            "#.##.#.#.#.#",
            "#......#...#",
            "#.####.###.#",
            "#..#.#.....#",
            "##.#.#.#.###",
            "#..#...#.G.#",
            "############"
        );

    /// <summary>For the ball: no inner walls.</summary>
    public static MazeMap PointOpen { get; } = new("open", "#######", "#.....#", "#..G..#", "#.....#", "#######");
}
