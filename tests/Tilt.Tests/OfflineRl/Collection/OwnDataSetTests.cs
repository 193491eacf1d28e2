using System.Text.Json;
using Tilt.OfflineRl.Collection;
using Tilt.OfflineRl.Data;
using Tilt.Tests.Environments;
using Tilt.Tests.OfflineRl.Data;

namespace Tilt.Tests.OfflineRl.Collection;

public class OwnDataSetTests
{
    private static readonly DataRecipe Recipe = DataRecipes.Named("maze2d-umaze");

    [Fact]
    public void A_made_file_says_inside_and_beside_how_it_was_made()
    {
        Physics.Needed();
        using var folder = new TemporaryFolder();
        var file = folder.File("sets/made.hdf5");
        var request = new CollectionRequest { Size = 3000, Seed = 5 };
        OwnDataSet.Make(Recipe, request, file, "1.2.3");

        var attributes = FileContents.Of(file).Attributes;
        Assert.Equal("Tilt 1.2.3, data make", attributes["made_by"]);
        Assert.Contains("Not D4RL's data", attributes["note"]);
        Assert.Contains("MuJoCo 2.2.2", attributes["physics"]);
        Assert.Contains("waypoint controller", attributes["policies"]);
        Assert.Equal(Recipe.Make(request).ContentSha256(), attributes["content_sha256"]);
        using var beside = JsonDocument.Parse(File.ReadAllText(folder.File("sets/made.json")));
        Assert.Equal(Tilt.Runs.ContentHash.OfFile(file), beside.RootElement.GetProperty("file_sha256").GetString());
        Assert.Equal(attributes["content_sha256"], beside.RootElement.GetProperty("content_sha256").GetString());
        Assert.Equal(5, beside.RootElement.GetProperty("seed").GetInt64());

        Assert.True(OwnDataSet.Matches(file, Recipe, request, "1.2.3"));
        Assert.False(OwnDataSet.Matches(file, Recipe, request with { Seed = 6 }, "1.2.3"));
        Assert.False(OwnDataSet.Matches(file, Recipe, request with { Size = 3001 }, "1.2.3"));
        Assert.False(OwnDataSet.Matches(file, Recipe, request, "1.2.4"));
        Assert.False(OwnDataSet.Matches(file, Recipe with { PolicyHashes = _ => ["another"] }, request, "1.2.3"));
        Assert.False(OwnDataSet.Matches(file, DataRecipes.Named("maze2d-umaze-dense"), request, "1.2.3"));

        using var steps = RecordedSteps.Open(file, new() { Cache = false });
        Assert.Equal((3000, 4, 2), (steps.Count, steps.ObservationSize, steps.ActionSize));
        Assert.Equal(Recipe.Make(request).Rewards, steps.Rewards.ToArray());
        var bytes = File.ReadAllBytes(file);
        OwnDataSet.Make(Recipe, request with { Threads = 2 }, file, "1.2.3");
        Assert.Equal(bytes, File.ReadAllBytes(file));
    }

    [Fact]
    public void H5py_sees_D4rls_layout()
    {
        Physics.Needed();
        using var folder = new TemporaryFolder();
        var file = folder.File("made.hdf5");
        OwnDataSet.Make(Recipe, new() { Size = 500 }, file, "1");
        Assert.Equal(
            "(500, 4) float32 (500, 2) float32 (500,) float32 (500,) bool (500,) bool (500, 2) (500, 2) (500, 2) maze2d-umaze",
            PythonH5.Run(
                "import h5py, sys; f = h5py.File(sys.argv[1])\n"
                    + "d = lambda n: (f[n].shape, f[n].dtype)\n"
                    + "print(*d('observations'), *d('actions'), *d('rewards'), *d('terminals'), *d('timeouts'), "
                    + "f['infos/goal'].shape, f['infos/qpos'].shape, f['infos/qvel'].shape, f.attrs['recipe'].decode())",
                file
            )
        );
    }

    [Theory]
    [InlineData("collecting")]
    [InlineData("writing")]
    public void Giving_up_leaves_what_was_there(string stage)
    {
        Physics.Needed();
        using var folder = new TemporaryFolder();
        var file = folder.File("made.hdf5");
        File.WriteAllText(file, "old");
        using var stop = new CancellationTokenSource();
        var request = new CollectionRequest
        {
            Size = 5000,
            Stop = stop.Token,
            Progress = (now, _, _) =>
            {
                if (now == stage)
                {
                    stop.Cancel();
                }
            },
        };
        Assert.ThrowsAny<OperationCanceledException>(() => OwnDataSet.Make(Recipe, request, file, "1"));
        Assert.Equal("old", File.ReadAllText(file));
        Assert.Equal([file], Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void A_place_that_cannot_be_written_is_told_before_anything_is_collected()
    {
        Physics.Needed();
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("file"), "");
        Directory.CreateDirectory(folder.File("taken.hdf5"));
        var request = new CollectionRequest { Size = 100, Progress = (_, _, _) => Assert.Fail("it collects") };
        foreach (var place in new[] { folder.File("file/made.hdf5"), folder.File("taken.hdf5") })
        {
            var error = Assert.Throws<DataException>(() => OwnDataSet.Make(Recipe, request, place, "1"));
            Assert.Contains(place, error.Message);
            Assert.Contains("a place that can be written", error.Message);
        }
        OneThreadAsNobody.Run(() =>
            Assert.Contains(
                "made.hdf5",
                Assert
                    .Throws<DataException>(() => OwnDataSet.Make(Recipe, request, folder.File("made.hdf5"), "1"))
                    .Message
            )
        );
    }

    [Fact]
    public void A_disk_that_fills_up_leaves_the_old_file()
    {
        Physics.Needed();
        using var disk = SmallDisk.Mount("size=128k");
        var file = disk.File("made.hdf5");
        File.WriteAllText(file, "old");
        var error = Assert.Throws<DataException>(() => OwnDataSet.Make(Recipe, new() { Size = 20_000 }, file, "1"));
        Assert.Contains("free some space", error.Message);
        Assert.Equal("old", File.ReadAllText(file));
        Assert.Equal([file], Directory.GetFiles(disk.Path));
    }

    [Fact]
    public void What_does_not_fit_into_memory_is_refused_before_it_is_tried()
    {
        var error = Assert.Throws<TiltException>(() => new CollectedSteps(int.MaxValue, 111, 8));
        Assert.Equal(2, error.ExitCode);
        Assert.Contains("ask for fewer", error.Message);
    }

    [Fact]
    public void Rows_of_the_papers_table_are_found_by_the_names_of_data_sets()
    {
        Assert.Equal("Medium-Replay Hopper", PaperRows.Of("hopper-medium-replay"));
        Assert.Equal("Medium-Replay Hopper", PaperRows.Of("hopper-medium-replay-v2"));
        Assert.Equal("Medium-Expert HalfCheetah", PaperRows.Of("tilt-halfcheetah-medium-expert"));
        Assert.Equal("Default AntMaze-umaze", PaperRows.Of("antmaze-umaze-v2"));
        Assert.Equal("Diverse AntMaze-umaze", PaperRows.Of("antmaze-umaze-diverse"));
        Assert.Null(PaperRows.Of("hopper-random"));
        Assert.Null(PaperRows.Of("maze2d-umaze"));
        Assert.Null(PaperRows.Of("v2"));
    }

    [Fact]
    public void Every_recipe_is_about_a_task_and_has_its_own_name()
    {
        Assert.Equal(DataRecipes.Names.Count, DataRecipes.Names.Distinct().Count());
        Assert.All(
            DataRecipes.All,
            recipe =>
            {
                Assert.Contains(recipe.Task, Tilt.Environments.Tasks.Names);
                Assert.Null(D4rlTask.Exactly(recipe.Name));
                Assert.NotNull(D4rlTask.Find(recipe.Name));
                Assert.InRange(recipe.DefaultSize, 1000, 5_000_000);
                Assert.Same(recipe, DataRecipes.Named("tilt-" + recipe.Name));
            }
        );
    }
}
