//! Training through LightGBM's C interface, because `lightgbm3` passes no parameters on to the data set: `max_bin`,
//! `min_data_in_bin` and the like would be ignored without a word. The only `unsafe` of the task kinds: every call
//! gets pointers to live values of the stated length, and both handles are freed on every way out.
#![expect(unsafe_code, reason = "calls into LightGBM; see above")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;

use anyhow::{Context as _, bail};
use ghtrader_kit::Result;
use lightgbm3_sys as c;

use crate::models::Sample;

/// Fits `rounds` rounds and gives the model as LightGBM's text. `data` and `booster` are its `name=value` parameters.
///
/// # Errors
/// With LightGBM's own message.
pub(super) fn train(sample: &Sample<'_>, data: &str, booster: &str, rounds: u32, threads: usize) -> Result<String> {
    // A maximum beside the parameters: `num_threads` would be written into the model.
    // SAFETY: sets a number.
    check(unsafe { c::LGBM_SetMaxThreads(i32::try_from(threads)?) })?;
    let data = Data::new(sample, &CString::new(data)?)?;
    let booster = Booster::new(&data, &CString::new(booster)?)?;
    for _ in 0..rounds {
        if booster.round()? {
            break;
        }
    }
    booster.text()
}

/// A data set; what it was made of is copied by LightGBM.
struct Data(c::DatasetHandle);

impl Data {
    fn new(sample: &Sample<'_>, parameters: &CStr) -> Result<Self> {
        let (rows, columns) = (i32::try_from(sample.labels.len())?, i32::try_from(sample.features.len())?);
        if sample.x.len() != sample.labels.len() * sample.features.len() {
            bail!("{} values are not {rows} rows of {columns} features", sample.x.len());
        }
        let mut data = Self(ptr::null_mut());
        // SAFETY: `x` holds rows × columns 64-bit floats, row-major (checked above); the other pointers are live.
        check(unsafe {
            c::LGBM_DatasetCreateFromMat(
                sample.x.as_ptr().cast::<c_void>(),
                c::C_API_DTYPE_FLOAT64 as i32,
                rows,
                columns,
                1,
                parameters.as_ptr(),
                ptr::null_mut(),
                &raw mut data.0,
            )
        })?;
        let labels: Vec<f32> = sample.labels.iter().map(|&label| f32::from(label)).collect();
        // SAFETY: the handle is live, `labels` holds `rows` 32-bit floats.
        check(unsafe {
            c::LGBM_DatasetSetField(
                data.0,
                c"label".as_ptr(),
                labels.as_ptr().cast::<c_void>(),
                rows,
                c::C_API_DTYPE_FLOAT32 as i32,
            )
        })?;
        let names = sample
            .features
            .iter()
            .map(|name| CString::new(name.as_str()))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: the handle is live, `pointers` holds `columns` pointers to C strings that outlive the call.
        check(unsafe { c::LGBM_DatasetSetFeatureNames(data.0, pointers.as_mut_ptr(), columns) })?;
        Ok(data)
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        // SAFETY: the handle is this value's own, and is null or live; LightGBM takes null as nothing to free.
        unsafe { c::LGBM_DatasetFree(self.0) };
    }
}

/// A model in training on a data set that it borrows.
struct Booster<'a>(c::BoosterHandle, std::marker::PhantomData<&'a Data>);

impl<'a> Booster<'a> {
    fn new(data: &'a Data, parameters: &CStr) -> Result<Self> {
        let mut booster = Self(ptr::null_mut(), std::marker::PhantomData);
        // SAFETY: the data set is live for `'a`, the other pointers are live.
        check(unsafe { c::LGBM_BoosterCreate(data.0, parameters.as_ptr(), &raw mut booster.0) })?;
        Ok(booster)
    }

    /// One round of boosting; true where no tree could be grown any more.
    fn round(&self) -> Result<bool> {
        let mut finished = 0;
        // SAFETY: the handle is live.
        check(unsafe { c::LGBM_BoosterUpdateOneIter(self.0, &raw mut finished) })?;
        Ok(finished != 0)
    }

    /// The model as text.
    fn text(&self) -> Result<String> {
        let mut buffer: Vec<u8> = Vec::new();
        loop {
            let (room, mut needed) = (buffer.len(), 0);
            // SAFETY: the handle is live; LightGBM writes at most `room` bytes, and nothing where that is too little.
            check(unsafe {
                c::LGBM_BoosterSaveModelToString(
                    self.0,
                    0,
                    -1,
                    0,
                    room as i64,
                    &raw mut needed,
                    buffer.as_mut_ptr().cast::<c_char>(),
                )
            })?;
            let needed = usize::try_from(needed)?;
            if needed <= room {
                let text = CStr::from_bytes_until_nul(&buffer).context("LightGBM's text has no end")?;
                return Ok(text.to_str()?.to_owned());
            }
            buffer.resize(needed, 0);
        }
    }
}

impl Drop for Booster<'_> {
    fn drop(&mut self) {
        // SAFETY: as for `Data`.
        unsafe { c::LGBM_BoosterFree(self.0) };
    }
}

fn check(status: i32) -> Result<()> {
    if status == 0 {
        return Ok(());
    }
    // SAFETY: LightGBM keeps the message of a thread's last error, a C string.
    let message = unsafe { CStr::from_ptr(c::LGBM_GetLastError()) };
    bail!("LightGBM: {}", message.to_string_lossy())
}
