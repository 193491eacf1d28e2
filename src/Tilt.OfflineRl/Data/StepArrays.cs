namespace Tilt.OfflineRl.Data;

/// <summary>Finds arrays of steps in a file and checks their types and lengths.</summary>
internal sealed class StepArrays(IArrayFile file)
{
    /// <summary>The name chosen by the user, or the first of the usual names that exists, or the first of them.</summary>
    public string Named(string? chosen, params ReadOnlySpan<string> usual)
    {
        foreach (var name in usual)
        {
            if (chosen is null && file.Has(name))
            {
                return name;
            }
        }
        return chosen ?? usual[0];
    }

    /// <summary>An array of N vectors of floating-point numbers.</summary>
    public StoredArray Vectors(string name)
    {
        var array = Find(name);
        if (array.Type.Kind != ElementKind.Float)
        {
            throw new DataException(
                file.Name,
                name,
                $"data type {array.Type.Name}",
                "float32 or float64",
                $"Convert it first, for example with numpy's {name}.astype('float32')."
            );
        }
        if (array.Shape.Count != 2 || array.Shape[1] is < 1 or > StepReader.MostColumns)
        {
            throw new DataException(
                file.Name,
                name,
                $"the shape {array.ShapeText}",
                "(N, D): one row per step, one column per dimension",
                "Reshape it; a single number per step is one column: reshape(-1, 1)."
            );
        }
        return array;
    }

    /// <summary>An array of N numbers.</summary>
    public StoredArray Column(string name)
    {
        var array = Find(name);
        if (!array.Type.IsNumeric)
        {
            throw new DataException(
                file.Name,
                name,
                $"data type {array.Type.Name}",
                "numbers or booleans",
                "Convert it to float32 (rewards) or bool (flags) first."
            );
        }
        if (array.Shape.Count is not (1 or 2) || (array.Shape.Count == 2 && array.Shape[1] != 1))
        {
            throw new DataException(
                file.Name,
                name,
                $"the shape {array.ShapeText}",
                "(N,) or (N, 1): one number per step",
                "Keep the one column that is meant."
            );
        }
        return array;
    }

    /// <summary>Throws unless an array has as many rows as another.</summary>
    public void ExpectRows(StoredArray? array, StoredArray like)
    {
        if (array is not null && array.Shape[0] != like.Shape[0])
        {
            throw new DataException(
                file.Name,
                array.Name,
                $"{array.Shape[0]} rows",
                $"{like.Shape[0]} rows, as {like.Name} has",
                "Write all arrays with one row per step."
            );
        }
    }

    /// <summary>The values of a column.</summary>
    public static unsafe float[] Values(StoredArray array, int count)
    {
        var values = new float[count];
        fixed (float* start = values)
        {
            array.ReadFloats(new(start, count, 1));
        }
        return values;
    }

    /// <summary>Sets a flag of the steps whose number is not zero.</summary>
    public void SetFlags(StoredArray? array, StepStorage to, byte flag)
    {
        if (array is null)
        {
            return;
        }
        var values = Values(array, to.Shape.Count);
        for (var i = 0; i < values.Length; i++)
        {
            if (float.IsNaN(values[i]))
            {
                throw new DataException(
                    file.Name,
                    $"{array.Name}[{i}]",
                    "NaN",
                    "0 or 1",
                    "Set the flag of every step."
                );
            }
            to.Flags[i] |= values[i] != 0 ? flag : (byte)0;
        }
    }

    private StoredArray Find(string name)
    {
        if (file.Has(name))
        {
            return file.Array(name);
        }
        var present = string.Join(", ", file.Names.Take(12));
        throw new DataException(
            file.Name,
            name,
            present.Length == 0 ? "no arrays at all" : $"only {present}",
            $"an array named {name}",
            $"Write the missing array, or rename the one that holds it to '{name}'."
        );
    }
}
