"""What the image service refuses, and why. Statuses are upstream's."""

from __future__ import annotations

from kilonova.kernel.errors import (
    BadRequest,
    Conflict,
    Error,
    Forbidden,
    Gone,
    NotFound,
    ServiceUnavailable,
    TooLarge,
    UnsupportedMediaType,
)


class ImageNotFound(NotFound):
    text = "No image found with ID {image_id}"


class TicketRefused(Forbidden):
    text = "The {header} header must hold a ticket for this image that has not ended."


class MemberNotFound(NotFound):
    text = "{member_id} is not a member of image {image_id}"


class TaskNotFound(NotFound):
    text = "Task not found for task_id {task_id}"


class TagNotFound(NotFound):
    text = "Image {image_id} has no tag {tag}"


class ImageExists(Conflict):
    text = "Image ID {image_id} is taken, by an image that is there or was deleted."


class MemberExists(Conflict):
    text = "Project {member_id} is already a member of image {image_id}."


class ReadOnly(Forbidden):
    text = "Attribute '{name}' is read-only."


class Reserved(Forbidden):
    text = "Attribute '{name}' is reserved."


class NotRemovable(Forbidden):
    text = "Property {name} cannot be removed; replace it instead."


class NoSuchProperty(Conflict):
    text = "The image has no property {name}."


class PropertyExists(Conflict):
    text = "The image already has a property {name}."


class OnlyBeforeData(Forbidden):
    text = "{name} can be changed only while the image is queued."


class OwnerForbidden(Forbidden):
    text = "Only administrators may give images to another project ({owner})."


class IsProtected(Forbidden):
    text = "Image {image_id} is protected: set protected to false before deleting it."


class NotShared(Forbidden):
    text = "Only images with visibility 'shared' have members; image {image_id} is '{visibility}'."


class NotForOwner(Forbidden):
    text = "Only the project that an image is shared with can accept or reject it."


class OwnerOnly(Forbidden):
    text = "Only the owner of an image can share it."


class CannotDeactivate(Forbidden):
    text = "An image in status '{status}' cannot be {what}."


class DataIsDeactivated(Forbidden):
    text = "The image is deactivated: its data cannot be downloaded."


class WrongStatus(Conflict):
    text = "An image in status '{status}' takes no data; only queued images do."


class NothingStaged(Conflict):
    text = "Image {image_id} has no staged data to import: its status is '{status}'."


class FormatsMissing(BadRequest):
    text = "Set disk_format and container_format before uploading data: {missing} missing."


class Refused(UnsupportedMediaType):
    """The data is not what the image declares, or could make a host read other files."""

    text = "The data was refused: {why}."


class TooBig(TooLarge):
    text = "The data is larger than {limit} bytes, the largest image that is accepted here."


class StorageQuotaExceeded(TooLarge):
    text = "The project would use {wanted} bytes of image storage, being uploaded included; its quota is {limit}."


class TooMany(TooLarge):
    text = "The limit has been exceeded on the number of {what}: {count} asked for, at most {limit}."


class SizeDiffers(BadRequest):
    text = "{announced} bytes were announced and {received} came."


class DeletedMeanwhile(Gone):
    text = "Image {image_id} was deleted while its data was being uploaded; the data was discarded."


class DataMissing(NotFound):
    text = "The data of image {image_id} is missing in the store."


class RangeNotSatisfiable(Error):
    status = 416
    text = "The range {asked} cannot be served; the data has {size} bytes. One range in bytes is possible."


class StoreFull(TooLarge):
    text = "The image store has no room for this data."


class StoreBroken(ServiceUnavailable):
    text = "The image store does not work now; its operator finds the reason in the log. Try again later."


class NoSuchStore(BadRequest):
    text = "There is no store {store} here; there is {known}."


class StoreNotFound(NotFound):
    text = "There is no store {store} here; there is {known}."


class LastLocation(Forbidden):
    text = "Image {image_id} has its data in no other store; delete the image instead."


class NoSuchMethod(BadRequest):
    text = "There is no import method {method} here; there is {known}."
