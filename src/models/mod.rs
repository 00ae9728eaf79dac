pub mod shield;
