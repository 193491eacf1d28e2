using System.Runtime.InteropServices;

namespace Tilt.Environments.Simulation;

/// <summary>An array of mjModel or mjData: what it holds and where its pointer lies in the struct.</summary>
/// <param name="Name">The field's name in MuJoCo.</param>
/// <param name="Type">double, float, int, byte or contact.</param>
/// <param name="ElementBytes">Bytes of one element.</param>
/// <param name="Rows">A count of mjModel, a number, or a product of both.</param>
/// <param name="Columns">Likewise.</param>
/// <param name="Offset">Bytes from the struct's start to the pointer.</param>
internal sealed record MujocoArray(string Name, string Type, int ElementBytes, string Rows, string Columns, int Offset);

/// <summary>Where everything lies in mjModel and mjData of version 2.2.2, and the check that it lies there.</summary>
/// <remarks>
/// The table is the order of declaration in MuJoCo's mjxmacro.h with the offsets a C compiler prints for x86-64. The check
/// needs no compiler: all arrays of a struct are cut from one allocation in that order, each start rounded up to 64 bytes, so
/// every pointer follows from the counts, and the end of the last from the size of the allocation. Any drift of the layout
/// breaks one of the 373 equalities.
/// </remarks>
internal static unsafe class MujocoLayout
{
    /// <summary>Bytes of mjOption's place in mjModel; its first double is the time step.</summary>
    public const int Options = 232;

    /// <summary>Bytes of mjVisual's place in mjModel.</summary>
    public const int Visual = 472;

    /// <summary>Bytes of mjData.warning[8]: pairs of int32 (last info, count).</summary>
    public const int Warnings = 24;

    /// <summary>Bytes of mjData.ncon.</summary>
    public const int ContactCount = 40332;

    /// <summary>Bytes of mjData.time.</summary>
    public const int Time = 40336;

    /// <summary>Bytes of one contact, and of its two geom numbers.</summary>
    public const int ContactBytes = 528,
        ContactGeom1 = 508,
        ContactGeom2 = 512;

    private const int ModelBuffer = 1088;
    private const int ModelBufferBytes = 228;
    private const int DataBuffer = 40360;
    private const int DataBufferBytes = 4;

    private static readonly Dictionary<string, int> SizeOffsets = new(StringComparer.Ordinal);
    private static readonly List<MujocoArray> ModelList = [];
    private static readonly List<MujocoArray> DataList = [];
    private static readonly Dictionary<string, MujocoArray> ByName = new(StringComparer.Ordinal);

    static MujocoLayout() => Read();

    /// <summary>Names of the counts in mjModel.</summary>
    public static IReadOnlyCollection<string> Sizes => SizeOffsets.Keys;

    /// <summary>The arrays of mjModel, in order.</summary>
    public static IReadOnlyList<MujocoArray> ModelArrays => ModelList;

    /// <summary>The arrays of mjData, in order.</summary>
    public static IReadOnlyList<MujocoArray> DataArrays => DataList;

    /// <summary>A count of mjModel, such as nq.</summary>
    public static int Size(nint model, string name) => *(int*)(model + SizeOffsets[name]);

    /// <summary>An array's pointer.</summary>
    public static nint Pointer(nint structure, string name) => *(nint*)(structure + ByName[name].Offset);

    /// <summary>An array's number of elements.</summary>
    public static long Count(nint model, MujocoArray array) =>
        Product(model, array.Rows) * Product(model, array.Columns);

    /// <summary>Checks every pointer of an mjModel.</summary>
    /// <exception cref="EnvironmentException">A pointer is not where the table has it.</exception>
    public static void CheckModel(nint model) =>
        Check("mjModel", model, model, ModelList, ModelBuffer, *(int*)(model + ModelBufferBytes));

    /// <summary>Checks every pointer of an mjData.</summary>
    /// <exception cref="EnvironmentException">A pointer is not where the table has it.</exception>
    public static void CheckData(nint model, nint data) =>
        Check("mjData", model, data, DataList, DataBuffer, *(int*)(data + DataBufferBytes));

    private static void Check(
        string name,
        nint model,
        nint structure,
        List<MujocoArray> arrays,
        int bufferOffset,
        int bufferBytes
    )
    {
        var buffer = *(nint*)(structure + bufferOffset);
        long next = 0;
        foreach (var array in arrays)
        {
            next = (next + 63) / 64 * 64;
            var found = *(nint*)(structure + array.Offset) - buffer;
            if (found != next)
            {
                throw Mismatch($"{name}.{array.Name} lies {found} bytes into its buffer, expected {next}");
            }
            next += Count(model, array) * array.ElementBytes;
        }
        if (next != bufferBytes)
        {
            throw Mismatch($"{name}'s buffer has {bufferBytes} bytes, expected {next}");
        }
    }

    private static EnvironmentException Mismatch(string what) =>
        new(
            $"MuJoCo: {what}: this build of the library is not laid out as Debian's {Mujoco.Version} for x86-64. "
                + $"Remedy: {Mujoco.InstallCommand}"
        );

    private static long Product(nint model, string expression)
    {
        long product = 1;
        foreach (var factor in expression.Split('*'))
        {
            product *= int.TryParse(factor, out var number) ? number : Size(model, factor);
        }
        return product;
    }

    private static void Read()
    {
        using var stream = typeof(MujocoLayout).Assembly.GetManifestResourceStream("layout-2.2.2.txt")!;
        using var reader = new StreamReader(stream);
        var (list, offset) = (ModelList, 0);
        string[] kind = [];
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#'))
            {
                continue;
            }
            if (line.Split(" first at ") is [var structure, var first])
            {
                (list, offset) = (structure == "model" ? ModelList : DataList, int.Parse(first));
                continue;
            }
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon >= 0)
            {
                kind = line[..colon].Split(' ');
            }
            foreach (var name in line[(colon + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                if (kind is [var type, var rows, var columns])
                {
                    var array = new MujocoArray(name, type, BytesOf(type), rows, columns, offset);
                    list.Add(array);
                    ByName.Add(name, array);
                    offset += sizeof(nint);
                }
                else
                {
                    SizeOffsets.Add(name, SizeOffsets.Count * sizeof(int));
                }
            }
        }
    }

    private static int BytesOf(string type) =>
        type switch
        {
            "double" => sizeof(double),
            "float" => sizeof(float),
            "int" => sizeof(int),
            "byte" => sizeof(byte),
            _ => ContactBytes,
        };
}
