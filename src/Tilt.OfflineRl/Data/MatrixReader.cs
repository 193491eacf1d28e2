namespace Tilt.OfflineRl.Data;

/// <summary>Reads steps from arrays with one row per step, as D4RL's HDF5 files have them.</summary>
/// <remarks>
/// D4RL (Fu et al. 2020), <c>OfflineEnv.get_dataset</c>: observations (N, S), actions (N, A), rewards and terminals (N) or (N, 1),
/// timeouts likewise where there are any. Flags of any numeric type count as set when they are not zero. Recorded next
/// observations of HDF5 files are read only when they are named, since D4RL passes over them.
/// Departure: observations and actions stored as integers are an error, where D4RL casts them silently.
/// </remarks>
internal sealed class MatrixReader : StepReader
{
    private readonly IArrayFile _file;
    private readonly StepArrays _arrays;
    private readonly StoredArray _observations;
    private readonly StoredArray? _next;
    private readonly StoredArray _actions;
    private readonly StoredArray _rewards;
    private readonly StoredArray _terminals;
    private readonly StoredArray? _timeouts;

    /// <summary>Finds the arrays and checks their types and shapes. The reader owns the file.</summary>
    /// <param name="file">Where they are.</param>
    /// <param name="fields">Names the user chose.</param>
    /// <param name="readsNext">Whether next observations are read where there are any.</param>
    public MatrixReader(IArrayFile file, StepFields fields, bool readsNext)
    {
        (_file, _arrays) = (file, new(file));
        string? Single(string field, IReadOnlyList<string>? names) => StepFields.Single(file.Name, field, names);
        _observations = _arrays.Vectors(Single("observations", fields.Observations) ?? "observations");
        _actions = _arrays.Vectors(Single("actions", fields.Actions) ?? "actions");
        _rewards = _arrays.Column(_arrays.Named(fields.Reward, "rewards", "reward"));
        _terminals = _arrays.Column(_arrays.Named(fields.Terminated, "terminals", "terminated", "terminations"));
        var timeouts = _arrays.Named(fields.Truncated, "timeouts", "truncated", "truncations");
        _timeouts = fields.Truncated is not null || file.Has(timeouts) ? _arrays.Column(timeouts) : null;
        var next = Single("next_observations", fields.NextObservations) ?? "next_observations";
        _next = fields.NextObservations is not null || (readsNext && file.Has(next)) ? _arrays.Vectors(next) : null;
        foreach (var array in new[] { _actions, _rewards, _terminals, _timeouts, _next })
        {
            _arrays.ExpectRows(array, _observations);
        }
        if (_next is not null && _next.Shape[1] != _observations.Shape[1])
        {
            throw new DataException(
                file.Name,
                next,
                $"the shape {_next.ShapeText}",
                $"{_observations.ShapeText}, as {_observations.Name} has",
                "Write observations and next observations of one size."
            );
        }
        Names = new()
        {
            Observations = _observations.Name,
            NextObservations = next,
            Actions = _actions.Name,
            Rewards = _rewards.Name,
        };
        Shape = new(
            ExpectCount(file.Name, _observations.Name, _observations.Shape[0]),
            (int)_observations.Shape[1],
            (int)_actions.Shape[1],
            _timeouts is not null,
            _next is not null
        );
    }

    /// <inheritdoc/>
    public override void Fill(StepStorage to)
    {
        _observations.ReadFloats(to.Observations);
        _next?.ReadFloats(to.NextObservations);
        _actions.ReadFloats(to.Actions);
        _rewards.ReadFloats(to.Rewards);
        _arrays.SetFlags(_terminals, to, StepStorage.TerminatedFlag);
        _arrays.SetFlags(_timeouts, to, StepStorage.TruncatedFlag);
    }

    /// <inheritdoc/>
    public override void Dispose() => _file.Dispose();
}
