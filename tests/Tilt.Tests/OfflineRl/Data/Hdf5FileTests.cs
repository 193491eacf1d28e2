using System.Text.Json;
using Tilt.OfflineRl.Data;
using Tilt.OfflineRl.Data.Hdf5;
using Tilt.Tests.Golden;

namespace Tilt.Tests.OfflineRl.Data;

/// <summary>Forms of HDF5 beyond the golden files, written by h5py where it is installed.</summary>
public class Hdf5FileTests(Hdf5FileTests.Files files) : IClassFixture<Hdf5FileTests.Files>
{
    private const string Preamble = """
        import h5py, json, numpy as np, os, sys
        def make(folder, name, script):
            n = 1003
            o = (np.arange(n * 7).reshape(n, 7) % 97 / 8).astype('float32')
            a = (np.arange(n * 2).reshape(n, 2) % 13 / 16).astype('float32')
            r = (np.arange(n) % 5).astype('float32')
            d = np.arange(n) % 50 == 49
            t = ~d & (np.arange(n) % 20 == 19)
            s = dict(path=os.path.join(folder, name + '.hdf5'), folder=folder, h5py=h5py, np=np, n=n, o=o, a=a, r=r, d=d, t=t)
            def write(f, chunks=None, grow=False, **k):
                for name, v in dict(observations=s['o'], actions=s['a'], rewards=s['r'], terminals=s['d'], timeouts=s['t']).items():
                    if name in f: continue
                    c = None if chunks is None else tuple(min(x, y) for x, y in zip(chunks[:v.ndim], v.shape))
                    m = (None,) + v.shape[1:] if grow else None
                    f.create_dataset(name, data=v, chunks=c, maxshape=m, **k)
            s['write'] = write
            exec(script, s)
            if 'f' in s: s['f'].close()
        for name, script in json.load(open(sys.argv[1])).items():
            make(sys.argv[2], name, script)
        """;

    private const string Old = "f = h5py.File(path, 'w')\n";
    private const string Newest = "f = h5py.File(path, 'w', libver='latest')\n";

    private static readonly Dictionary<string, string> Forms = new()
    {
        ["contiguous"] = Old + "write(f)",
        ["fletcher32"] = Old + "write(f, chunks=(64, 2), fletcher32=True)",
        ["all filters"] = Old + "write(f, chunks=(100, 3), fletcher32=True, shuffle=True, compression='gzip')",
        ["growing"] = Old + "write(f, chunks=(50, 9), grow=True)",
        ["deep tree"] = Old + "write(f, chunks=(2, 1), compression='gzip')",
        ["user block"] = "f = h5py.File(path, 'w', userblock_size=2048)\nwrite(f, compression='gzip')",
        ["newest, one chunk"] = Newest + "write(f, chunks=(1003, 7), compression='gzip')",
        ["newest, contiguous"] = Newest + "write(f)",
        ["newest, fixed array"] = Newest + "write(f, chunks=(50, 3))",
        ["newest, pages"] = Newest + "write(f, chunks=(1, 2), compression='gzip')",
        ["many groups and attributes"] =
            Old
            + "write(f)\nfor i in range(300): f.create_group(f'g{i}/h').attrs['x'] = 'y' * i\n"
            + "for i in range(30): f.attrs[f'a{i}'] = 'z' * 50",
        ["links"] = Old + "write(f); f['s'] = h5py.SoftLink('/actions'); f['h'] = f['actions']",
    };

    private static readonly Dictionary<string, (string Script, string Found)> Refused = new()
    {
        ["lzf"] = (Old + "write(f, compression='lzf')", "filter 32000 (lzf)"),
        ["growing, newest"] = (Newest + "write(f, chunks=(9, 2), grow=True)", "extensible array"),
        ["soft link"] = (Old + "f['actions'] = h5py.SoftLink('/rewards'); write(f)", "a soft or external link"),
        ["rank 3"] = (Old + "o = o.reshape(n, 7, 1); write(f)", "(1003, 7, 1)"),
        ["complex"] = (Old + "o = o.astype(complex); write(f)", "compound"),
        ["nothing written"] = (
            Old + "f.create_dataset('observations', (n, 7), 'float32', chunks=(10, 7)); write(f)",
            "never written"
        ),
        ["partly written"] = (
            Old + "f.create_dataset('observations', (n, 7), 'float32', chunks=(10, 7))[:20] = 1; write(f)",
            "2 different chunks"
        ),
        ["beyond float32"] = (Old + "o = o.astype('float64') * 1e300; write(f)", "infinity"),
        ["infinite reward"] = (Old + "r[3] = -np.inf; write(f)", "-infinity"),
        ["NaN action"] = (Old + "a[7, 1] = np.nan; write(f)", "NaN"),
        ["NaN flag"] = (Old + "d = d.astype('float32'); d[5] = np.nan; write(f)", "NaN"),
        ["transposed rewards"] = (Old + "r = r.reshape(1, n); write(f)", "(1, 1003)"),
        ["integer actions"] = (Old + "a = a.astype('int64'); write(f)", "int64"),
        ["text rewards"] = (Old + "r = np.array(['x'] * n, dtype='S3'); write(f)", "text of 3 bytes"),
        ["scalar terminals"] = (Old + "f['terminals'] = np.float32(1); write(f)", "()"),
        ["a group for an array"] = (Old + "f.create_group('rewards'); write(f)", "only actions, observations"),
    };

    private static readonly string[] FloatTypes = ["<f4", ">f4", ">f8", "<f2"];

    public static TheoryData<string> FormNames => [.. Forms.Keys];

    public static TheoryData<string> RefusedNames => [.. Refused.Keys];

    public static TheoryData<string> Types => [.. FloatTypes];

    /// <summary>All of the files, made by one run of Python.</summary>
    public sealed class Files : IDisposable
    {
        private readonly TemporaryFolder _folder = new();
        private readonly Lazy<bool> _made;

        public Files()
        {
            _made = new(() =>
            {
                var scripts = Forms
                    .Concat(Refused.Select(pair => KeyValuePair.Create(pair.Key, pair.Value.Script)))
                    .ToDictionary();
                for (var i = 0; i < FloatTypes.Length; i++)
                {
                    scripts[$"type {i}"] =
                        $"o = (np.arange(n * 7).reshape(n, 7) / 7).astype('{FloatTypes[i]}')\n"
                        + $"np.savez(folder + '/type {i}.npz', o=o.astype('float32'))\n{Old}write(f, compression='gzip')";
                }
                scripts["texts"] =
                    Old
                    + "write(f); f.attrs['env'] = 'Höpper'; f.attrs['n'] = 3; f.attrs['b'] = np.bytes_('xy')\n"
                    + "f['metadata/vlen'] = 'any length'; f['metadata/fixed'] = np.bytes_('SAC'); f['metadata/i'] = 5\n"
                    + "f.attrs['list'] = [1, 2]";
                File.WriteAllText(_folder.File("scripts.json"), JsonSerializer.Serialize(scripts));
                PythonH5.Run(Preamble, _folder.File("scripts.json"), _folder.Path);
                return true;
            });
        }

        public string PathOf(string file) => _made.Value ? _folder.File(file) : "";

        public void Dispose() => _folder.Dispose();
    }

    [Theory]
    [MemberData(nameof(FormNames))]
    public void H5pys_forms_are_read_to_the_bit(string form)
    {
        using var steps = RecordedSteps.Open(files.PathOf($"{form}.hdf5"), new() { Cache = false });
        Assert.Equal(1003, steps.Count);
        for (var i = 0; i < steps.Count; i++)
        {
            Assert.Equal(Enumerable.Range(7 * i, 7).Select(k => k % 97 / 8f), steps.Observation(i).ToArray());
            Assert.Equal(Enumerable.Range(2 * i, 2).Select(k => k % 13 / 16f), steps.Action(i).ToArray());
            Assert.Equal(i % 5, steps.Rewards[i]);
            Assert.Equal((i % 50 == 49, i % 50 != 49 && i % 20 == 19), (steps.Terminated(i), steps.Truncated(i)));
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Every_float_is_widened_or_rounded_as_numpy_does(string type)
    {
        var name = $"type {Array.IndexOf(FloatTypes, type)}";
        using var steps = RecordedSteps.Open(files.PathOf($"{name}.hdf5"), new() { Cache = false });
        var expected = Npz.Read(files.PathOf($"{name}.npz"))["o"];
        for (var i = 0; i < steps.Count; i++)
        {
            var row = expected.Values.AsSpan(7 * i, 7).ToArray();
            Assert.Equal(Array.ConvertAll(row, value => (float)value), steps.Observation(i).ToArray());
        }
    }

    [Theory]
    [MemberData(nameof(RefusedNames))]
    public void What_cannot_be_used_is_named(string name)
    {
        var path = files.PathOf($"{name}.hdf5");
        var error = Assert.Throws<DataException>(() => RecordedSteps.Open(path, new() { Cache = false }));
        Assert.Contains(Refused[name].Found, error.Found);
        Assert.Equal(path, error.File);
        Assert.EndsWith(".", error.Remedy);
    }

    [Fact]
    public void Attributes_and_texts_of_all_kinds_are_read()
    {
        using var source = ByteSource.Open(files.PathOf("texts.hdf5"));
        var file = Hdf5File.Open(source);
        Assert.Equal(("Höpper", "3", "xy"), (file.Attributes["env"], file.Attributes["n"], file.Attributes["b"]));
        Assert.Equal(
            ("any length", "SAC", "5"),
            (file.Text("metadata/vlen"), file.Text("metadata/fixed"), file.Text("metadata/i"))
        );
    }

    [Fact]
    public void The_checksum_of_newer_metadata_is_lookup3()
    {
        // Jenkins' own test vectors for hashlittle (lookup3.c, driver5): a 30-byte sentence, and the empty key.
        Assert.Equal(0x17770551u, Lookup3.Hash("Four score and seven years ago"u8));
        Assert.Equal(0xdeadbeefu, Lookup3.Hash([]));
    }
}
