/**
 * Names that a channel cannot have in an answer. Under some, the SDK puts columns of its own: its read then fails, or shows
 * only one of the two. For the others `align_timeseries` would take the readings for timestamps.
 */
const timeNames = [
  'Time',
  'UNIX Timestamp',
  'unix_timestamp_ms',
  'relative_time_seconds',
  ...['ns', 'us', 'ms', 'seconds', 's'].flatMap((unit) => [`timestamp_${unit}`, `unix_timestamp_${unit}`]),
];

/** Reserved in both SDK shapes that name channels: `properties` and the rows of `series`. */
export const reservedNames: ReadonlySet<string> = new Set(timeNames);

/**
 * Reserved in the rows of the RHEED shape: also its own time and index columns, the display names that the SDK gives to
 * columns, and columns that the SDK drops.
 */
export const reservedRheedNames: ReadonlySet<string> = new Set([
  ...timeNames,
  'time_seconds',
  'Relative Time',
  'frame_number',
  'Frame Number',
  'Angle',
  'View ID',
  'Interval ID',
  'Azimuth Label',
  'low_level_features',
  'mask_rle',
  'mask_height',
  'mask_width',
  ...['cluster_id', 'Cluster ID', 'cluster_std', 'Cluster ID Uncertainty'],
  ...['referenced_strain', 'Strain', 'nearest_neighbor_strain', 'Cumulative Strain'],
  ...['oscillation_period', 'Oscillation Period', 'spot_count', 'Diffraction Spot Count'],
  ...['first_order_intensity', 'First Order Intensity'],
  ...['first_order_intensity_l', 'First Order Intensity L', 'first_order_intensity_r', 'First Order Intensity R'],
  ...['half_order_intensity', 'Half Order Intensity'],
  ...['half_order_intensity_l', 'Half Order Intensity L', 'half_order_intensity_r', 'Half Order Intensity R'],
  ...['specular_intensity', 'Specular Intensity', 'reconstruction_intensity', 'Reconstruction Intensity'],
  ...['specular_fwhm_1', 'Specular FWHM', 'first_order_fwhm_1', 'First Order FWHM'],
  ...['lattice_spacing', 'Lattice Spacing', 'tar_metric', 'TAR Metric', 'composition_metric', 'Composition Metric'],
]);
