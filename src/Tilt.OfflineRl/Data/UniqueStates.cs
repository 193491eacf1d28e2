using System.Security.Cryptography;

namespace Tilt.OfflineRl.Data;

/// <summary>The different states of a data set, each once: s′ of one transition is usually s of the next.</summary>
/// <remarks>
/// What is computed for every s and every s′ (support actions, say) is computed once per state here: about N instead of 2·N times.
/// Two states are one where they are the same recorded row, or where a recorded s′ equals the row after it, bit for bit. s′ of a
/// terminated transition is never looked at by a backup, so it counts as s.
/// </remarks>
public sealed class UniqueStates
{
    private readonly TransitionDataset _data;

    // Of each state: the recorded row it stands in; ~row where it is the s′ recorded beside that row.
    private readonly int[] _places;

    /// <summary>The states of a data set.</summary>
    /// <param name="data">The transitions. Kept.</param>
    public UniqueStates(TransitionDataset data)
    {
        _data = data;
        var recorded = data.Recorded;
        var places = new List<int>(data.Count + (data.Count / 8));
        var numbers = new int[recorded.Count];
        Array.Fill(numbers, -1);
        (Current, Next) = (new long[data.Count], new long[data.Count]);
        for (var k = 0; k < data.Count; k++)
        {
            Current[k] = OfRow(data.Steps[k]);
        }
        for (var k = 0; k < data.Count; k++)
        {
            var row = data.Steps[k];
            if (data.Terminated[k] > 0)
            {
                Next[k] = Current[k];
            }
            else if (
                !recorded.HasNextObservations
                || (
                    row + 1 < recorded.Count
                    && recorded.Observation(row + 1).SequenceEqual(recorded.NextObservation(row))
                )
            )
            {
                Next[k] = OfRow(row + 1);
            }
            else
            {
                Next[k] = places.Count;
                places.Add(~row);
            }
        }
        _places = [.. places];

        long OfRow(int row)
        {
            if (numbers[row] < 0)
            {
                numbers[row] = places.Count;
                places.Add(row);
            }
            return numbers[row];
        }
    }

    /// <summary>U, how many there are.</summary>
    public int Count => _places.Length;

    /// <summary>The state that is s of each transition, [N].</summary>
    public long[] Current { get; }

    /// <summary>The state that is s′ of each transition, [N].</summary>
    public long[] Next { get; }

    /// <summary>A state's observation, [S].</summary>
    /// <param name="state">Its number, below <see cref="Count"/>.</param>
    public ReadOnlySpan<float> this[int state] =>
        _places[state] >= 0
            ? _data.Recorded.Observation(_places[state])
            : _data.Recorded.NextObservation(~_places[state]);

    /// <summary>Copies consecutive states.</summary>
    /// <param name="first">The first state.</param>
    /// <param name="into">Room for a whole number of observations, row after row.</param>
    public void Copy(int first, Span<float> into)
    {
        for (var state = first; into.Length > 0; state++)
        {
            this[state].CopyTo(into);
            into = into[_data.ObservationSize..];
        }
    }

    /// <summary>SHA-256 of all states in order, in lower-case hexadecimal.</summary>
    public string Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (var state = 0; state < Count; state++)
        {
            hash.AppendData(System.Runtime.InteropServices.MemoryMarshal.AsBytes(this[state]));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
